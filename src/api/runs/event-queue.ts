/** Events for any number of async iterations. Each iteration begins with the first event. */

export class EventQueue<T> {
  readonly #events: T[] = [];
  #isOver = false;
  #error: { readonly reason: unknown } | undefined;
  #waiting: (() => void)[] = [];

  push(event: T): void {
    this.#events.push(event);
    this.#wake();
  }

  /** The iterations throw the error after the last event. */
  fail(reason: unknown): void {
    this.#error = { reason };
  }

  end(): void {
    this.#isOver = true;
    this.#wake();
  }

  async *iterate(): AsyncGenerator<T> {
    for (let next = 0; ; next++) {
      while (next >= this.#events.length && !this.#isOver)
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      if (next >= this.#events.length) break;
      yield this.#events[next] as T;
    }
    if (this.#error) throw this.#error.reason;
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}
