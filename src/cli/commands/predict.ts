/** `lockstep predict`: classifies pictures with a saved model. */

import { DataError, ModelError } from '../../shared/errors.js';
import { classify } from '../../worker/predict/classify.js';
import { loadDigitImage } from '../../worker/predict/digit-image.js';
import { exitStatus } from '../../shared/exit-status.js';
import { describeError } from '../exit.js';
import { namedDefinition } from '../runs/named-definition.js';
import { openSavedRun } from '../runs/saved-run.js';

export interface PredictFlags {
  readonly config?: string;
  readonly engine: string;
  readonly json?: boolean;
  /** Set in the child process; see launcher/quiet-child.ts. */
  readonly launched?: boolean;
}

/** Resolves with the exit status. A picture that cannot be read is reported, the others are classified, and the status is 2. */
export async function predict(
  directory: string,
  files: readonly string[],
  flags: PredictFlags,
): Promise<number> {
  const { engine, config, model } = await openSavedRun(
    directory,
    flags.engine,
    await namedDefinition(flags.config),
  );
  const [, height, width, channels] = model.inputs[0]?.shape ?? [];
  if (typeof height !== 'number' || typeof width !== 'number' || channels !== 1) {
    throw new ModelError(
      `Model in ${directory}: expected an input of height x width x 1, got ${String(model.inputs[0]?.shape)}. ` +
        'Only models of grayscale pictures can predict from files.',
    );
  }
  let status: number = exitStatus.done;
  for (const file of files) {
    try {
      const pixels = await loadDigitImage(file, { height, width });
      const ranked = classify(engine.tf, model, { pixels, height, width }, config.normalize);
      const [best, ...others] = ranked;
      if (!best) throw new ModelError(`Model in ${directory} has no outputs.`);
      if (flags.json === true) {
        process.stdout.write(
          `${JSON.stringify({ event: 'prediction', file, label: best.label, probability: best.probability, ranked })}\n`,
        );
      } else {
        const percent = (probability: number): string => `${(probability * 100).toFixed(1)}%`;
        const rest = others.slice(0, 2).map(({ label, probability }) => `${label} ${percent(probability)}`);
        process.stdout.write(
          `${file}: ${best.label} (${percent(best.probability)}; then ${rest.join(', ')})\n`,
        );
      }
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      process.stderr.write(`${describeError(error)}\n`);
      status = exitStatus.usage;
    }
  }
  model.dispose();
  return status;
}
