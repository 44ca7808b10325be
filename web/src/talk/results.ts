// Tool arguments and results as values: JSON where it is JSON. Knows the names of the rental desk's fields.

import type { Entry, ToolUse } from "./entries";

export type Json = Record<string, unknown>;

export function parsed(text: string | null): Json | null {
  try {
    const value: unknown = JSON.parse(text ?? "");
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : null;
  } catch {
    return null;
  }
}

export function failed(tool: ToolUse): boolean {
  const result = parsed(tool.output);
  return result !== null && (result["success"] === false || "error" in result);
}

export interface Shop {
  id: string;
  name: string;
  address: string;
  vehicleTypes: string[];
}

export interface Car {
  vehicleId: string;
  vehicleType: string;
  registration: string;
  manufacturer: string;
  vehicleModel: string;
}

export interface Period {
  startDate: string;
  endDate: string;
}

export interface Booking {
  reservationNumber: string;
  locationName: string;
  period: Period;
  customerName: string;
  vehicle: Car;
  status?: string;
}

/** What the desk has said about itself in this talk: no more than the agent knows. */
export interface Board {
  shops: Shop[];
  free: { shop: string; period: Period; cars: Car[] } | null;
  bookings: Booking[];
}

export function boardOf(entries: Entry[]): Board {
  const board: Board = { shops: [], free: null, bookings: [] };
  for (const one of entries) {
    const result = one.is === "tool" ? parsed(one.output) : null;
    if (result !== null) note(board, result);
  }
  return board;
}

function note(board: Board, result: Json): void {
  if (Array.isArray(result["locations"])) board.shops = result["locations"] as Shop[];
  if (Array.isArray(result["availableVehicles"])) {
    const id = String(result["locationId"]);
    const shop = board.shops.find((one) => one.id === id)?.name ?? id;
    board.free = { shop, period: result["period"] as Period, cars: result["availableVehicles"] as Car[] };
  }
  const found = Array.isArray(result["reservations"]) ? (result["reservations"] as Json[]) : [result];
  for (const booking of found) {
    if (typeof booking["reservationNumber"] === "string" && booking["vehicle"] !== undefined) book(board, booking);
  }
}

function book(board: Board, booking: Json): void {
  const number = booking["reservationNumber"];
  const others = board.bookings.filter((one) => one.reservationNumber !== number);
  board.bookings = [...others, booking as unknown as Booking];
}
