/**
 * Notices that the number of tensors grows in every step. Lockstep's own steps leave none behind, so the tensors were kept by the
 * definition: by `tf.keep`, by a variable per call, or by a callback that runs outside of the step.
 */

/** Steps in a row in which the number must grow. The first steps allocate tensors that later steps use again. */
const stepsInARow = 10;

export class LeakWatch {
  #last = Number.POSITIVE_INFINITY;
  #grown: number[] = [];
  #isReported = false;

  /** Returns a warning the first time that the number has grown in ten steps in a row. @param tensors number of tensors after a step */
  after(tensors: number): string | undefined {
    const growth = tensors - this.#last;
    this.#last = tensors;
    if (this.#isReported) return undefined;
    this.#grown = growth > 0 ? [...this.#grown, growth] : [];
    if (this.#grown.length < stepsInARow) return undefined;
    this.#isReported = true;
    const least = Math.min(...this.#grown);
    return (
      `The definition's code keeps at least ${least} more ${least === 1 ? 'tensor' : 'tensors'} in each step, so the memory will be ` +
      'exhausted. Remove tf.keep and variables that a loss, a layer or a data source creates per call, or dispose them.'
    );
  }
}
