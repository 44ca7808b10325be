// Everything the page says, in Japanese and in English.

const ja = {
  base: "接続先",
  connect: "つなぐ",
  key: "このサーバーのキー",
  use: "使う",
  log: "会話の記録",
  empty: "質問を送ると、答えがここに少しずつ届きます。",
  prompt: "質問",
  hint: "Enter で送信、Shift+Enter で改行",
  clear: "クリア",
  send: "送信",
  sending: "送信中…",
  me: "あなた",
  agent: "エージェント",
  connecting: "接続しています…",
  connected: "接続しました",
  reconnecting: "つなぎ直しています…",
  gone: "接続できません。数秒後にもう一度試します。",
  wrong_key: "キーが違います。",
  lost: "答えの途中で切れ、続きは残っていません。",
  failed: "送信できませんでした。",
  tongue: "言語",
};

export type Words = typeof ja;

const en: Words = {
  base: "Server",
  connect: "Connect",
  key: "Key of this server",
  use: "Use",
  log: "Conversation",
  empty: "Send a question, and its answer arrives here piece by piece.",
  prompt: "Question",
  hint: "Enter sends, Shift+Enter starts a new line",
  clear: "Clear",
  send: "Send",
  sending: "Sending…",
  me: "You",
  agent: "Agent",
  connecting: "Connecting…",
  connected: "Connected",
  reconnecting: "Reconnecting…",
  gone: "Cannot connect. Trying again in a few seconds.",
  wrong_key: "This key is wrong.",
  lost: "The line broke within the answer, and the rest of it is no longer kept.",
  failed: "It could not be sent.",
  tongue: "Language",
};

export const tongues = { ja, en };
export type Tongue = keyof typeof tongues;
