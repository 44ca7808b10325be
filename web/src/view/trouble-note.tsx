// What is in the way, and what to do about it.

import type { Talk } from "../talk/talk";
import { words } from "../words/words";

export function TroubleNote({ talk }: { talk: Talk }) {
  const trouble = talk.trouble.value;
  return <div role="alert">{trouble !== null && <Note talk={talk} />}</div>;
}

function Note({ talk }: { talk: Talk }) {
  const text = words.value;
  const { code, detail } = talk.trouble.value!;
  const { title, remedy } = text.troubles[code];
  return (
    <div class="trouble card" data-trouble={code}>
      <h2>{title}</h2>
      <p>{remedy}</p>
      {detail !== null && <p class="about">{text.serverSaid}: <q>{detail}</q></p>}
      <p class="buttons"><Ways talk={talk} /></p>
    </div>
  );
}

function Ways({ talk }: { talk: Talk }) {
  const text = words.value;
  const choice = talk.choice.value;
  const { code } = talk.trouble.value!;
  if (talk.stage.value === "lost") {
    return (
      <>
        <button type="button" onClick={() => talk.dialAgain()}>{text.dialNow}</button>
        <button type="button" onClick={() => talk.hangUp()}>{text.end}</button>
      </>
    );
  }
  const typing = /microphone|insecure/.test(code) && choice !== null;
  return (
    <>
      {choice !== null && code !== "wrong_key" && code !== "insecure_context" && (
        <button type="button" onClick={() => void talk.start(choice)}>{text.tryAgain}</button>
      )}
      {typing && (
        <button type="button" onClick={() => void talk.start({ ...choice, mode: "typing" })}>{text.typeInstead}</button>
      )}
      <button type="button" onClick={() => (talk.trouble.value = null)}>{text.close}</button>
    </>
  );
}
