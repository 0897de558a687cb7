/**
 * Thrown when a call waits for a generation that has ended. The step in flight is aborted, the worker reports its last committed step,
 * and a new plan follows.
 */
export class GenerationEnded extends Error {
  override readonly name = 'GenerationEnded';
  readonly generation: number;

  constructor(generation: number) {
    super(`generation ${generation} has ended`);
    this.generation = generation;
  }
}
