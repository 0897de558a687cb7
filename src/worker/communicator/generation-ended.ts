/**
 * Thrown by a wait when the generation has ended: the step in flight is abandoned, and a new plan will follow. Not a failure; the
 * worker answers with its last committed step.
 */
export class GenerationEnded extends Error {
  override readonly name = 'GenerationEnded';
  readonly generation: number;

  constructor(generation: number) {
    super(`generation ${generation} has ended`);
    this.generation = generation;
  }
}
