import json
import os

import azure.functions as func
import requests
from openai import AzureOpenAI

client = AzureOpenAI(
    azure_endpoint=os.environ["AZURE_OPENAI_ENDPOINT"],
    api_key=os.environ["AZURE_OPENAI_KEY"],
    api_version=os.environ["AZURE_OPENAI_API_VERSION"],
)


def main(req: func.HttpRequest) -> func.HttpResponse:
    prompt = req.get_json().get("prompt", "日本語で自己紹介して")
    broadcast = f"{os.environ['FUNCTIONS_BASE_URL']}/api/broadcast"
    stream = client.chat.completions.create(
        model=os.environ["AZURE_OPENAI_DEPLOYMENT"],
        messages=[{"role": "user", "content": prompt}],
        stream=True,
    )
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            requests.post(broadcast, json={"message": chunk.choices[0].delta.content}, timeout=10)
    requests.post(broadcast, json={"message": "\n\n✅ 完了"}, timeout=10)
    return func.HttpResponse(json.dumps({"ok": True}), mimetype="application/json")
