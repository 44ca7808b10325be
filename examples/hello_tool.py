"""A whole agent in ten lines. Serve it with: kaiwa serve hello_tool:agent"""

from kaiwa import Agent, tool


@tool(changes=False)
def get_greeting(name: str) -> str:
    """名前を聞いて、挨拶を返します。

    Args:
        name: お客様のお名前
    """
    return f"こんにちは、{name}さん。"


agent = Agent(
    name="hello",
    instructions="日本語で短く話し、名前を聞いたら get_greeting で挨拶してください。",
    tools=[get_greeting],
    language="ja",
)
