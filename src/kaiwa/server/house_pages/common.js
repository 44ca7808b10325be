// The words that the pages of who runs the house share, in Japanese and English.

export const words = {
  ja: {
    language: "表示言語",
    elsewhere: "ほかの画面",
    to_console: "会話の画面",
    to_status: "サーバーの様子",
    to_pool: "デプロイの様子",
    to_reference: "API の一覧",
    key: "このサーバーのキー",
    use: "表示する",
    wrongKey: "キーが違います。",
    noScope: "このキーには管理（admin）の権限がありません。",
    lost: "サーバーに接続できません。再接続しています。",
    oldSettings: "新しい設定に誤りがあるため、前の設定で動いています。",
    conditions: {
      free: "受付中", spilling: "満杯に近い", busy: "満席", resting: "休止中",
      probing: "回復を確認中", open: "遮断中", disabled: "使用不可", leaving: "終了待ち",
    },
    usual: (p50, p95) => `中央値 ${p50}・95% は ${p95} 以内`,
    units: { s: "秒", m: "分", h: "時間", d: "日" },
  },
  en: {
    language: "Language",
    elsewhere: "Other pages",
    to_console: "Console",
    to_status: "Status",
    to_pool: "Deployments",
    to_reference: "API reference",
    key: "Key of this server",
    use: "Show",
    wrongKey: "This key is wrong.",
    noScope: "This key may not administer the server (scope admin).",
    lost: "The server cannot be reached. Trying again.",
    oldSettings: "The new configuration has a fault; the one before it is in use.",
    conditions: {
      free: "taking requests", spilling: "nearly full", busy: "all places taken", resting: "resting",
      probing: "trying it again", open: "cut off", disabled: "cannot be used", leaving: "finishing",
    },
    usual: (p50, p95) => `median ${p50}, 95% in ${p95}`,
    units: { s: " s", m: " min", h: " h", d: " d" },
  },
};
