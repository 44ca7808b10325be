"""kaiwa (会話): a self-hosted, real-time conversation server for Azure OpenAI and OpenAI."""
