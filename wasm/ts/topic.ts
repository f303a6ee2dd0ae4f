// Who listens to what happens on a phone or a call.
import { Queue } from "./queue.js";

/** Anything that happens: its `type` says which kind. */
export interface Happening {
  readonly type: string;
}

/** The events of a union that have that type. */
export type EventOf<E extends Happening, T extends E["type"]> = Extract<E, { readonly type: T }>;

/** Is called with each event of one type. */
export type Listener<E> = (event: E) => void;

/** How many events are kept for the first listener. */
const KEPT = 64;

/** The emitting side of an emitter, which only its owner has. */
export class Topic<E extends Happening> {
  readonly #listeners = new Map<string, readonly Listener<never>[]>();
  readonly #streams = new Set<Queue<E>>();
  /** Events of types that nobody has listened to yet. */
  #kept: E[] = [];
  readonly #heard = new Set<string>();
  #closed = false;

  /** With `keeps` the first listener to a type also receives the events of that type before it. */
  constructor(private readonly keeps = false) {}

  /** Whether somebody listens to that type. */
  isHeard(type: E["type"]): boolean {
    return (this.#listeners.get(type)?.length ?? 0) > 0;
  }

  on<T extends E["type"]>(type: T, listener: Listener<EventOf<E, T>>): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
  }

  off(type: E["type"], listener: Listener<never>): void {
    const left = (this.#listeners.get(type) ?? []).filter((each) => each !== listener);
    if (left.length > 0) this.#listeners.set(type, left);
    else this.#listeners.delete(type);
  }

  /** Takes what was kept of a type for its first listener: once. */
  missed<T extends E["type"]>(type: T): EventOf<E, T>[] {
    this.#heard.add(type);
    const missed = this.#kept.filter((event) => event.type === type);
    if (missed.length > 0) this.#kept = this.#kept.filter((event) => event.type !== type);
    return missed as EventOf<E, T>[];
  }

  /** Everything from now on, and for the first who asks what was kept. */
  events(): AsyncIterableIterator<E> {
    const queue = new Queue<E>(() => false);
    for (const event of this.#kept.splice(0)) queue.push(event);
    this.#streams.add(queue);
    const items = queue.items(() => this.#streams.delete(queue));
    if (this.#closed) queue.end();
    return items;
  }

  emit(event: E): void {
    for (const queue of this.#streams) queue.push(event);
    for (const listener of this.#listeners.get(event.type) ?? []) call(listener as Listener<E>, event);
    if (!this.keeps || this.#heard.has(event.type) || this.#streams.size > 0) return;
    if (this.#kept.push(event) > KEPT) this.#kept.shift();
  }

  /** Ends every stream once what waits was taken. */
  close(): void {
    this.#closed = true;
    for (const queue of this.#streams) queue.end();
    this.#streams.clear();
  }

  /** Streams may begin again. */
  reopen(): void {
    this.#closed = false;
  }
}

/** Calls a listener. What it throws is the program's. */
export function call<E>(listener: Listener<E>, event: E): void {
  try {
    listener(event);
  } catch (error) {
    throwLater(error);
  }
}

/** Throws what is the program's to see where nothing of ours is in its way. */
export function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
