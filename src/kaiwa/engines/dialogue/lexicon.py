# ruff: noqa: E501  (rows of words and sentences; a wide character counts twice)
"""The bilingual bridge: general notions with the words for them in Japanese and English. Names no tool."""

from __future__ import annotations

import re
from functools import lru_cache

from kaiwa.engines.dialogue.text import fold_kana, is_japanese, reading

ACTIONS: dict[str, str] = {
    "create": "予約 注文 借り 申し込 申込 登録 取りたい 取って 手配 頼みたい 頼む 頼め 作成 入れたい 貸し 購入 買い 買う 呼んで 呼び オーダー ブッキング "
    "よやく ちゅうもん かりたい 欲しい | book reserve reservation order create rent hire place schedule make buy purchase "
    "register borrow checkout loan request add arrange issue submit call",
    "cancel": "取り消 取消 キャンセル 削除 やめたい 解約 とりけし | cancel cancellation delete remove revoke",
    "update": "変更 延長 更新 変えたい 変えて へんこう | update change modify reschedule extend renew edit move set",
    "send": "送信 送って 送り 通知 メール | send notify email message post publish",
    "pay": "支払 払い 決済 送金 | pay charge transfer checkout refund",
    "check": "空き 空いて あいて 開いて 空室 空席 空車 空い 可能 あき 確認 | availability available free vacancy vacancies slots check openings",
    "list": "一覧 リスト どんな どこに どこです どこでしょ どちらにあ 何があり なにがあり 種類 メニュー いちらん | list all show menu options which kinds",
    "status": "状況 追跡 どこまで 届き 届く 届い いつ着 ステータス 状態 進捗 | status track tracking where trace",
    "search": "検索 調べ 探し 探す 探して について 教えて 情報 知りたい けんさく しらべ | search find look lookup query about research "
    "information tell know",
    "convert": "換算 両替 変換 レート いくら 為替 | convert conversion exchange rate",
}
TOPICS: dict[str, str] = {
    "weather": "天気 気温 予報 雨 てんき 晴れ | weather forecast temperature rain",
    "location": "店舗 店 場所 営業所 支店 拠点 お店 みせ | location locations shop shops store stores branch branches place places office",
    "car": "レンタカー 車 車両 車種 乗用車 くるま | car cars vehicle vehicles rental",
    "stock": "在庫 品切 ざいこ 残って | stock inventory",
    "price": "値段 料金 価格 いくら 金額 費用 ねだん | price prices cost fee fare quote",
    "hotel": "ホテル 宿 宿泊 泊ま 泊 旅館 | hotel hotels stay lodging night nights accommodation",
    "room": "部屋 会議室 客室 ルーム 個室 | room rooms",
    "meeting": "会議 打ち合わせ ミーティング | meeting meetings conference",
    "table": "レストラン 席 テーブル 食事 ディナー ランチ 居酒屋 | restaurant table tables dinner lunch dining seat",
    "food": "料理 食べ 出前 デリバリー | food meal meals dish dishes delivery",
    "pizza": "ピザ ピッツァ | pizza pizzas",
    "drink": "飲み物 ドリンク コーヒー | drink drinks coffee beverage",
    "taxi": "タクシー 配車 ハイヤー | taxi taxis cab cabs ride",
    "parcel": "荷物 小包 宅配 配達 配送 お届け 宅急便 | parcel parcels package packages shipment delivery tracking",
    "volume": "本 書籍 図書 図書館 蔵書 貸出 | book books library title loan catalog catalogue",
    "currency": "通貨 両替 為替 ドル 円 ユーロ 外貨 | currency currencies exchange dollar dollars yen euro euros",
    "dentist": "歯医者 歯科 歯 診察 診療 検診 クリニック 病院 医者 | dentist dental clinic doctor medical treatment patient",
    "appointment": "予約 アポ 診察 | appointment appointments",
    "reservation": "予約 | reservation reservations booking bookings",
    "order": "注文 オーダー | order orders",
    "flight": "飛行機 フライト 航空 便 | flight flights airline plane",
    "train": "電車 列車 新幹線 乗換 | train trains rail",
    "ticket": "チケット 券 切符 | ticket tickets",
    "movie": "映画 | movie movies film cinema",
    "music": "音楽 曲 | music song songs",
    "light": "電気 照明 ライト 明かり | light lights lamp",
    "timer": "タイマー アラーム | timer alarm",
    "reminder": "リマインド リマインダー 思い出 | reminder reminders remind",
    "news": "ニュース | news headlines",
    "database": "データベース 資料 文献 論文 記事 | database documents articles papers knowledge",
    "member": "会員 メンバー 顧客 | member members customer customers user users",
    "name": "名前 氏名 | name",
    "time": "時刻 何時 | time clock",
    "point": "ポイント 残高 | points balance account",
    "product": "商品 製品 品物 | product products item items goods",
    "class": "レッスン 教室 講座 クラス | lesson lessons class classes course courses",
    "haircut": "美容院 美容室 カット パーマ 散髪 髪 | haircut salon hair stylist",
    "staff": "担当 先生 スタッフ | staff stylist doctor person",
    "translation": "翻訳 訳し | translate translation",
    "map": "地図 道 ルート 行き方 | map route directions",
}
VALUES: tuple[str, ...] = (
    "compact コンパクト 小型車 コンパクトカー", "suv エスユーブイ SUV エスユービー", "minivan ミニバン ワンボックス van バン",
    "sedan セダン", "truck トラック", "small S Sサイズ 小 スモール エスサイズ", "medium M Mサイズ 中 ミディアム エムサイズ",
    "large L Lサイズ 大 ラージ エルサイズ", "c celsius 摂氏 セ氏 metric", "f fahrenheit 華氏 カ氏 imperial",
    "single シングル", "double ダブル", "twin ツイン", "suite スイート", "window 窓側 窓際", "aisle 通路側",
    "smoking 喫煙", "non_smoking 禁煙 nonsmoking non-smoking", "JPY 円 日本円 yen", "USD ドル 米ドル アメリカドル dollar dollars",
    "EUR ユーロ euro euros", "GBP ポンド pound pounds", "KRW ウォン won", "CNY 元 人民元 yuan", "AUD 豪ドル オーストラリアドル",
    "cleaning クリーニング 掃除 歯のクリーニング", "checkup 検診 健診 定期検診 check-up", "whitening ホワイトニング",
    "filling 虫歯 むし歯 詰め物 cavity", "extraction 抜歯 親知らず", "cash 現金", "card カード クレジットカード credit",
    "express 速達 お急ぎ急行", "standard 通常 普通 標準 regular", "pickup 持ち帰り テイクアウト 店頭受取 takeout takeaway",
    "delivery 配達 デリバリー 宅配 出前", "breakfast 朝食", "lunch ランチ 昼食", "dinner ディナー 夕食", "morning 午前 朝",
    "afternoon 午後", "evening 夕方 夜", "coffee コーヒー", "tea 紅茶 お茶 ティー", "water 水 お水", "beer ビール",
    "cola コーラ coke", "juice ジュース", "hot ホット 温かい", "iced アイス 冷たい cold", "red 赤", "blue 青", "white 白",
    "black 黒", "margherita マルゲリータ", "pepperoni ペパロニ", "quattro_formaggi クワトロフォルマッジ 四種のチーズ",
    "hawaiian ハワイアン", "cheese チーズ", "mushroom マッシュルーム きのこ mushrooms", "onion 玉ねぎ オニオン", "bacon ベーコン",
    "haircut カット 散髪", "color カラー", "perm パーマ", "adult 大人 adults", "child 子供 子ども children", "one_way 片道 oneway",
    "round_trip 往復 roundtrip", "male 男性", "female 女性", "today 今日 本日", "tomorrow 明日", "high 高い 高", "low 低い 低",
    "private 個室", "counter カウンター", "japanese 日本語 和室 和", "english 英語", "chinese 中国語", "en 英語 english",
    "ja 日本語 japanese", "asc 昇順", "desc 降順", "available 空きあり", "delivered 配達済み", "in_transit 輸送中 配送中",
    "shipped 発送済み", "pending 処理待ち", "cancelled キャンセル済み", "confirmed 確定", "completed 完了",
    "out_for_delivery 配達中", "on 付けて つけて オン", "off 消して けして オフ",
)  # fmt: skip
LABELS_JA: dict[str, str] = {
    "vehicle": "車種", "type": "種類", "size": "サイズ", "location": "店舗", "branch": "店舗", "shop": "店舗", "store": "店舗",
    "city": "都市", "place": "場所", "address": "住所", "quantity": "数量", "count": "数", "amount": "金額", "room": "お部屋",
    "product": "商品", "item": "商品", "book": "本", "title": "タイトル", "tracking": "追跡番号", "order": "注文番号",
    "reservation": "予約番号", "booking": "予約番号", "appointment": "予約番号", "parcel": "追跡番号", "doctor": "担当医",
    "dentist": "担当医", "treatment": "診療内容", "service": "メニュー", "menu": "メニュー", "email": "メールアドレス",
    "phone": "電話番号", "currency": "通貨", "temperature": "気温", "condition": "天気", "weather": "天気", "humidity": "湿度", "precipitation": "降水確率",
    "price": "料金", "total": "合計", "fee": "料金", "stock": "在庫", "status": "状況", "eta": "到着予定", "arrival": "到着予定",
    "rate": "レート", "wind": "風速", "date": "日付", "time": "時刻", "destination": "目的地", "pickup": "お迎え場所",
    "origin": "出発地", "hotel": "ホテル", "restaurant": "お店", "member": "会員番号", "card": "カード", "color": "色",
    "table": "お席", "due": "返却期限", "result": "結果", "converted": "換算額", "minutes": "所要時間", "duration": "時間",
    "reason": "ご用件", "message": "メッセージ", "email_address": "メールアドレス", "nights": "泊数", "guests": "人数",
    "party": "人数", "people": "人数", "seats": "席数", "taxi": "配車番号", "ride": "配車番号", "name": "名前", "id": "番号",
    "number": "番号", "query": "キーワード", "keyword": "キーワード", "high": "最高気温", "low": "最低気温", "shelf": "棚",
    "available": "空き", "crust": "生地", "topping": "トッピング", "forecast": "予報", "summary": "概要", "car": "車",
    "slot": "時間枠", "loan": "貸出番号", "staff": "担当者", "stylist": "担当者", "confirmation": "確認番号", "code": "コード",
    "remaining": "残り", "balance": "残高", "points": "ポイント", "plate": "ナンバー", "driver": "運転手", "fare": "料金",
    "cars": "車", "vehicles": "車両", "locations": "店舗", "shops": "店舗", "stores": "店舗", "branches": "店舗",
    "rooms": "お部屋", "hotels": "ホテル", "books": "本", "products": "商品", "items": "件", "slots": "枠", "tables": "お席",
    "results": "件", "restaurants": "お店", "times": "枠",
}  # fmt: skip


def _split(entry: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    japanese, _, english = entry.partition("|")
    return tuple(japanese.split()), tuple(english.split())


_ENTRIES = {notion: _split(entry) for notion, entry in (ACTIONS | TOPICS).items()}
_BY_ENGLISH: dict[str, set[str]] = {}
for _notion, (_, _english) in _ENTRIES.items():
    for _word in _english:
        _BY_ENGLISH.setdefault(_word, set()).add(_notion)


@lru_cache(maxsize=1)
def _sounds() -> tuple[tuple[str, str], ...]:
    """Return (notion, reading) of every Japanese word long enough to be told by its sound."""
    pairs = ((notion, reading(word)) for notion, (japanese, _) in _ENTRIES.items() for word in japanese)
    return tuple((notion, sound) for notion, sound in pairs if len(sound) >= 4)


@lru_cache(maxsize=2048)
def notions(text: str) -> frozenset[str]:
    """Return the notions a text speaks of, by its words and, in Japanese, by its sound."""
    found: set[str] = set()
    for word in re.findall(r"[a-z]+", text.lower()):
        found |= _BY_ENGLISH.get(word, set())
    if is_japanese(text):
        sound = reading(text) if len(text) < 120 else ""
        for notion, (japanese, _) in _ENTRIES.items():
            if any(word in text for word in japanese):
                found.add(notion)
        found |= {notion for notion, heard in _sounds() if heard in sound}
    return frozenset(found)


_GROUPS = tuple(tuple(group.split()) for group in VALUES)


@lru_cache(maxsize=4096)
def spoken_forms(value: str) -> tuple[str, ...]:
    """Return the ways a value may be said, itself first."""
    plain = value.lower().replace("-", "_")
    same = [word for group in _GROUPS if plain in {form.lower() for form in group} for word in group]
    readable = re.sub(r"[_-]+", " ", value)
    return tuple(dict.fromkeys((value, readable, *same)))


def say_value(value: str, language: str) -> str:
    """Return the value as it is said in the language: compact becomes コンパクト for a Japanese caller."""
    forms = spoken_forms(value)
    readable = re.sub(r"[_-]+", " ", value) if value.replace("_", "").replace("-", "").isalpha() else value
    if language == "ja":
        if is_japanese(value):
            return value
        said = next((form for form in forms if is_japanese(form)), readable)
        return value if value.isupper() and len(said) > 2 * len(value) - 1 else said
    if not is_japanese(value):
        return readable
    return next((re.sub(r"_", " ", form) for form in forms if not is_japanese(form) and len(form) > 1), value)


def label_ja(tokens: tuple[str, ...]) -> str | None:
    """Return a Japanese noun for the words of a parameter or key, the most telling word first."""
    useful = [token for token in tokens if token not in ("id", "number", "name", "code", "type")]
    for token in (*useful, *tokens):
        if token in LABELS_JA:
            return LABELS_JA[token]
        if is_japanese(token):
            return token
    return None


def same_sound(left: str, right: str) -> bool:
    return fold_kana(left) == fold_kana(right)
