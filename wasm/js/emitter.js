/** Listeners by the type of what happens, and waiting for something to hold. */
export class Emitter {
  #listeners = new Map();
  #looks = new Set();

  on(type, listener) {
    const others = this.#listeners.get(type) ?? [];
    this.#listeners.set(type, [...others, listener]);
    return this;
  }

  off(type, listener) {
    const others = this.#listeners.get(type) ?? [];
    this.#listeners.set(type, others.filter((other) => other !== listener));
    return this;
  }

  emit(type, value) {
    for (const listener of this.#listeners.get(type) ?? []) listener(value);
    for (const look of this.#looks) look();
  }

  /** Resolves when something holds; looks at once and after whatever happens. */
  until(holds) {
    return new Promise((resolve) => {
      const look = () => {
        if (!holds()) return;
        this.#looks.delete(look);
        resolve();
      };
      this.#looks.add(look);
      look();
    });
  }
}
