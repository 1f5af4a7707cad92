"""Which exceptions are the user's to mend, by name, so that nothing is imported to find out."""

# module and name of the class -> stable code; a class may carry its own in `code`
REFUSALS = {
    "node.errors.NodeError": "",
    "sim.market.quotes.QuoteFileError": "quotes",
    "sim.process.ChildFailed": "process",
    "l1.deploy.BadDeployment": "deployment",
    "l1.deploy.DeployFailed": "deploy",
    "l1.client.WrongChain": "chain",
    "l1.provider.Unavailable": "l1-unavailable",
    "l1.provider.RpcError": "l1-refused",
    "l1.shapes.Malformed": "l1-malformed",
    "l1.sender.NotSent": "l1-not-sent",
    "l1.keys.BadKey": "key",
    "sim.client.Disconnected": "sequencer-unavailable",
}


def describe_refusal(error: BaseException) -> str | None:
    """One line with its code, for the first exception inside whatever groups wrapped it that the user can mend; None for a bug of ours.

    A group that holds both is a bug: hiding half of it would not help anybody.
    """
    found = _collect(error)
    lines = [_describe(one) for one in found]
    return None if not lines or None in lines else lines[0]


def _collect(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [inner for outer in error.exceptions for inner in _collect(outer)]
    return [error]


def _describe(error: BaseException) -> str | None:
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    if name not in REFUSALS:
        return None
    text, code = str(error).strip(), REFUSALS[name]
    return f"{text} [{code}]" if code else text
