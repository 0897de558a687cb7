/**
 * Thrown out of a wait when the membership is over: the step in flight is given up, and a new plan will come. Not a failure:
 * whoever catches it says where this worker stands.
 */
export class GenerationEnded extends Error {
  override readonly name = 'GenerationEnded';
  readonly generation: number;

  constructor(generation: number) {
    super(`generation ${generation} has ended`);
    this.generation = generation;
  }
}
