"""``python -m antiphon``: the same as ``antiphon``. Holds the call and nothing else."""

from antiphon.cli.main import main

if __name__ == "__main__":
    main()
