/** Numbers that are never given twice. */
export class Serials {
  #last = 0;

  next(): number {
    this.#last += 1;
    return this.#last;
  }
}
