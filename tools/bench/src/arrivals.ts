/** Tells when what was expected has arrived; each key once. */
export class Arrivals {
  readonly #waiting = new Map<string, (at: number) => void>();
  #failure: Error | undefined;
  #rejects = new Set<(error: Error) => void>();

  /** Resolves with the moment (of `performance.now`) at which the key arrives; rejects when the stream fails. */
  expect(key: string): Promise<number> {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#rejects.add(reject);
      this.#waiting.set(key, (at) => {
        this.#rejects.delete(reject);
        resolve(at);
      });
    });
  }

  arrived(key: string): void {
    const at = performance.now();
    const tell = this.#waiting.get(key);
    this.#waiting.delete(key);
    tell?.(at);
  }

  /** Nothing will arrive any more. */
  fail(error: unknown): void {
    this.#failure = error instanceof Error ? error : new Error('the stream failed', { cause: error });
    for (const reject of this.#rejects) reject(this.#failure);
    this.#rejects = new Set();
  }
}
