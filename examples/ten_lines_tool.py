"""A new tool in ten lines. Serve it with: kaiwa serve ten_lines_tool:agent

Nothing else changes: it is used by voice in the console (/), on the Chainlit page (/chat) and by every SDK.
"""

from typing import Literal

from kaiwa import Agent, tool


@tool(changes=False)
def get_opening_hours(shop: Literal["東京駅前店", "新宿西口店", "羽田空港店"]) -> str:
    """お店の営業時間を調べます。

    Args:
        shop: お店の名前
    """
    return f"{shop}は、朝8時から夜8時まで開いています。"


agent = Agent(
    name="hours",
    instructions="日本語で短く話し、営業時間を聞かれたら get_opening_hours で調べてください。",
    tools=[get_opening_hours],
    language="ja",
)
