from __future__ import annotations

import asyncio

import pytest

from antiphon.testing import VirtualLoop, pytest_plugin

# Each test here writes a small test file and runs pytest on it.


@pytest.fixture
def outcome(pytester, monkeypatch):
    """Run pytest on a source text, in this process, with the switch on unless told otherwise."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(source: str, *, switch: bool = True):
        pytester.makeini(
            f"""
            [pytest]
            antiphon_virtual_time = {str(switch).lower()}
            filterwarnings = error
            markers = anyio
            addopts = --strict-markers --strict-config
            """
        )
        pytester.makepyfile("import asyncio, pytest\n" + source)
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", plugins=[pytest_plugin])

    return run


async def test_our_own_tests_run_in_virtual_time():
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    await asyncio.sleep(3600)
    assert loop.time() == 3600.0


class TestMethods:
    async def test_methods_run_too(self, tmp_path):
        assert tmp_path.exists()
        assert asyncio.get_running_loop().time() == 0.0


@pytest.mark.virtual_time(limit=5)
async def test_options_of_the_mark_reach_the_loop():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await asyncio.sleep(6)


def test_the_switch_runs_async_tests_on_fresh_virtual_loops(outcome):
    result = outcome(
        """
        from antiphon.testing import VirtualLoop

        @pytest.fixture
        def seconds():
            return 60

        async def test_one(seconds):
            assert isinstance(asyncio.get_running_loop(), VirtualLoop)
            await asyncio.sleep(seconds)

        @pytest.mark.parametrize("number", [1, 2])
        async def test_two(number):
            assert asyncio.get_running_loop().time() == 0.0
            await asyncio.sleep(number)

        def test_plain():
            pass
        """.replace("\n        ", "\n")
    )
    result.assert_outcomes(passed=4)


def test_without_the_switch_only_the_mark_counts(outcome):
    result = outcome(
        """
@pytest.mark.virtual_time
async def test_marked():
    await asyncio.sleep(3600)

async def test_not_marked():
    pass
""",
        switch=False,
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*async def functions are not natively supported*"])


def test_real_time_is_real(outcome):
    result = outcome("""
from antiphon.testing import VirtualLoop

pytestmark = pytest.mark.real_time

async def test_a_real_socket_answers():
    assert not isinstance(asyncio.get_running_loop(), VirtualLoop)

    async def answer(reader, writer):
        writer.write(await reader.readline())
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\\n")
        assert await reader.read() == b"hello\\n"
        writer.close()
        await writer.wait_closed()

@pytest.mark.virtual_time
async def test_the_nearest_mark_wins():
    assert isinstance(asyncio.get_running_loop(), VirtualLoop)
""")
    result.assert_outcomes(passed=2)


def test_a_task_left_running_fails_its_test_by_name(outcome):
    result = outcome("""
async def forgotten():
    await asyncio.sleep(10)

async def test_leaks():
    task = asyncio.get_running_loop().create_task(forgotten(), name="orphan")
    await asyncio.sleep(1)

@pytest.mark.real_time
async def test_leaks_in_real_time():
    task = asyncio.get_running_loop().create_task(forgotten(), name="real orphan")

async def test_after():
    async with asyncio.TaskGroup() as group:
        group.create_task(forgotten())
""")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*the test left a task running: task 'orphan', forgotten()*",
            "*test_a_task_left_running*.py:* in forgotten: await asyncio.sleep(10)",
            "*the test left a task running: task 'real orphan', forgotten()*",
        ]
    )


def test_real_time_tasks_that_are_about_to_end_are_no_leak(outcome):
    result = outcome("""
@pytest.mark.real_time
async def test_ends_soon():
    task = asyncio.get_running_loop().create_task(asyncio.sleep(0.01))
""")
    result.assert_outcomes(passed=1)


def test_an_async_generator_that_is_dropped_is_no_leak(outcome):
    result = outcome("""
async def numbers():
    try:
        yield 1
    finally:
        await asyncio.sleep(1)

async def test_breaks():
    async for _ in numbers():
        break
    await asyncio.sleep(0)
""")
    result.assert_outcomes(passed=1)


def test_an_error_that_nobody_saw_fails_its_test(outcome):
    result = outcome("""
async def test_callback():
    asyncio.get_running_loop().call_soon(lambda: 1 / 0)
    await asyncio.sleep(1)

async def test_task():
    async def fail():
        raise KeyError("nobody looks")
    asyncio.get_running_loop().create_task(fail())
    await asyncio.sleep(1)
""")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["*nobody saw: *ZeroDivisionError*", "*nobody saw: *KeyError('nobody looks')*"]
    )


def test_a_deadlock_prints_the_tasks_and_nothing_of_the_loop(outcome):
    result = outcome("""
async def waiter():
    await asyncio.Event().wait()

async def test_hangs():
    async with asyncio.TaskGroup() as group:
        group.create_task(waiter(), name="stuck")
        await asyncio.sleep(2.5)

async def stubborn():
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

async def test_hangs_in_clean_up_as_well():
    await stubborn()
""")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "*Deadlock: at 2.5 s of virtual time every task waits and nothing can wake one:",
            "*task 'stuck', waiter()",
            "*.py:* in waiter: await asyncio.Event().wait()",
            "*Deadlock: at 0.0 s of virtual time*",
        ]
    )
    result.stdout.no_fnmatch_line("*_run_once*")


def test_a_failing_test_prints_the_tasks_that_were_alive(outcome):
    result = outcome("""
async def beside():
    await asyncio.sleep(100)

async def test_fails():
    task = asyncio.get_running_loop().create_task(beside(), name="companion")
    await asyncio.sleep(1)
    assert asyncio.get_running_loop().time() == 2
""")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">*assert asyncio.get_running_loop().time() == 2*",
            "*Captured tasks call*",
            "task 'companion', beside()",
            "*.py:* in beside: await asyncio.sleep(100)",
        ]
    )
    result.stdout.no_fnmatch_line("*run_until_complete*")


def test_livelock_and_time_limit_fail_the_test(outcome):
    result = outcome("""
@pytest.mark.virtual_time(instant_limit=100)
async def test_spins():
    while True:
        await asyncio.sleep(0)

@pytest.mark.virtual_time(limit=60)
async def test_goes_on():
    while True:
        await asyncio.sleep(1)
""")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*Livelock: at 0.0 s*", "*TimeLimitReached: at 60.0 s*"])


@pytest.mark.parametrize(
    ("mark", "told"),
    [
        ("virtual_time(limt=3)", "*did you mean 'limit'*"),
        ("virtual_time(3)", "*the mark virtual_time takes keywords only*"),
        ("real_time(limit=3)", "*the mark real_time takes no options, not limit*"),
    ],
)
def test_wrong_options_of_a_mark_fail(outcome, mark, told):
    result = outcome(f"""
@pytest.mark.{mark}
async def test_marked():
    pass
""")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([told])


def test_hypothesis_gives_each_example_its_own_loop(outcome):
    result = outcome("""
from hypothesis import given, settings, strategies as st

seen = []

@settings(max_examples=20, database=None)
@given(st.integers())
async def test_examples(number):
    assert asyncio.get_running_loop().time() == 0.0
    seen.append(asyncio.get_running_loop())
    await asyncio.sleep(60)

def test_saw():
    assert len({id(loop) for loop in seen}) == len(seen) >= 20

@settings(max_examples=20, database=None)
@given(st.integers())
async def test_fails(number):
    await asyncio.sleep(1)
    assert number < 10

@given(st.integers())
@settings(max_examples=2, database=None)
@pytest.mark.parametrize("word", ["a", "b"])
async def test_with_parameters(word, number):
    await asyncio.sleep(1)
""")
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(["*number=10,*"])


def test_skip_and_expected_failure_work_as_ever(outcome):
    result = outcome("""
async def test_skips():
    pytest.skip("not today")

@pytest.mark.xfail(raises=ZeroDivisionError, strict=True)
async def test_fails_as_expected():
    1 / 0
""")
    result.assert_outcomes(skipped=1, xfailed=1)


def test_tests_of_other_plugins_are_left_alone(outcome):
    result = outcome("""
@pytest.mark.anyio
async def test_theirs():
    pass
""")
    # That plugin is not loaded here, so nobody runs it.
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*async def functions are not natively supported*"])


def test_marks_and_switch_are_listed(pytester):
    result = pytester.runpytest_inprocess("--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.virtual_time(*", "@pytest.mark.real_time:*"])
    result = pytester.runpytest_inprocess("--help")
    result.stdout.fnmatch_lines(["*antiphon_virtual_time (bool):*"])
