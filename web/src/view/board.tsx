// The rental desk's board: what the talk has brought up of shops, cars and bookings.

import { boardOf, type Booking, type Car, type Period } from "../talk/results";
import type { Talk } from "../talk/talk";
import { tongue, words } from "../words/words";

const RENTAL = /^(rentacar|concierge)/;

export function Board({ talk }: { talk: Talk }) {
  const text = words.value;
  const board = boardOf(talk.record.entries.value);
  const empty = board.shops.length === 0 && board.free === null && board.bookings.length === 0;
  if (empty && !RENTAL.test(talk.choice.value?.agent ?? "")) return null;
  return (
    <section class="board card" aria-labelledby="board">
      <h2 id="board">{text.board}</h2>
      {empty && <p class="empty">{text.boardEmpty}</p>}
      {board.bookings.length > 0 && (
        <>
          <h3>{text.bookings}</h3>
          <ul class="bookings">{board.bookings.map((one) => <Booked key={one.reservationNumber} one={one} />)}</ul>
        </>
      )}
      {board.free !== null && (
        <>
          <h3>{text.freeCars} <small>{board.free.shop} · {spanOf(board.free.period)}</small></h3>
          {board.free.cars.length === 0 ? <p class="empty">{text.noFreeCars}</p> : (
            <ul class="cars">{board.free.cars.map((car) => <li key={car.vehicleId}><CarWords car={car} /></li>)}</ul>
          )}
        </>
      )}
      {board.shops.length > 0 && (
        <>
          <h3>{text.shops}</h3>
          <ul class="shops">
            {board.shops.map((shop) => (
              <li key={shop.id}>
                <strong>{shop.name}</strong>
                <span>{shop.address}</span>
                <span class="kinds">{shop.vehicleTypes.map((kind) => <b key={kind}>{kind}</b>)}</span>
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

function Booked({ one }: { one: Booking }) {
  const cancelled = one.status === "cancelled";
  return (
    <li class={cancelled ? "cancelled" : ""}>
      <strong class="number">{one.reservationNumber}</strong>
      {cancelled && <b>{words.value.cancelled}</b>}
      <span>{one.customerName}{tongue.value === "ja" && " 様"}</span>
      <span>{one.locationName} · {spanOf(one.period)}</span>
      <CarWords car={one.vehicle} />
    </li>
  );
}

function CarWords({ car }: { car: Car }) {
  return (
    <span class="car">
      <b>{car.vehicleType}</b> {car.manufacturer} {car.vehicleModel} <small>{car.registration}</small>
    </span>
  );
}

/** Both moments as the clocks of the shop show them, whatever zone the browser is in. */
function spanOf(period: Period): string {
  const [start, end] = [period.startDate, period.endDate].map(localOf) as [Date, Date];
  const day = new Intl.DateTimeFormat(tongue.value, { month: "short", day: "numeric", weekday: "short", timeZone: "UTC" });
  const time = new Intl.DateTimeFormat(tongue.value, { hour: "2-digit", minute: "2-digit", hour12: false, timeZone: "UTC" });
  const sameDay = day.format(start) === day.format(end);
  return `${day.format(start)} ${time.format(start)} – ${sameDay ? "" : `${day.format(end)} `}${time.format(end)}`;
}

function localOf(moment: string): Date {
  return new Date(`${moment.slice(0, 16)}:00Z`);
}
