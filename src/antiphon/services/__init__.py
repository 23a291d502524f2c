"""One module for each provider, over the contracts in `antiphon.services.base`.

A provider's library is imported only by its module, and only when that is used.
"""
