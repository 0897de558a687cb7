/** Ends a run after its last step. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ResolvedConfig } from '../../shared/config/run-config.js';
import { CheckpointError, systemCode } from '../../shared/errors.js';
import { weightsSha256 } from '../../shared/model/layout.js';
import type { Plan } from '../../shared/protocol/messages.js';
import { compiledName, modelFolder, saveModel } from '../model-files/save-model.js';
import { savePreprocessing } from '../model-files/preprocessing-file.js';
import { checkFiniteWeights } from './diagnose.js';
import type { GenerationContext } from './generation-context.js';
import type { Progress, TrainingSession } from './training-session.js';
import { readWeights } from './weights.js';

/**
 * Reports the hash of the final weights. Rank 0 also writes the last checkpoint and the model. Resolves when the coordinator has
 * confirmed the end of the run. If the configuration has `ema`, the averaged weights are the final ones.
 * @throws GenerationEnded if the generation ends before the coordinator has confirmed the end of the run
 * @throws DivergedError if a final weight is not finite. The model is not written in this case.
 */
export async function finishRun(
  { checkpoints, communicator, mailbox, replica }: TrainingSession,
  { state }: Pick<GenerationContext, 'state'>,
  { rank, generation }: Pick<Plan, 'rank' | 'generation'>,
  { step, out }: Pick<Progress, 'step' | 'out'>,
): Promise<void> {
  checkFiniteWeights(replica, readWeights(replica), step);
  if (rank === 0) await checkpoints.last(step, state, out);
  await state.withResult(async () => {
    const weights = readWeights(replica);
    checkFiniteWeights(replica, weights, step);
    const sha256 = weightsSha256(weights);
    communicator.send({ type: 'finished', generation, steps: step, weightsSha256: sha256 });
    if (rank === 0) {
      const { directory } = await mailbox.receive('save');
      const path = directory === '' ? '' : await saveModel(replica.model, join(directory, modelFolder));
      const { preprocessing } = replica.data;
      if (path !== '' && preprocessing) await savePreprocessing(path, preprocessing);
      // Evaluations of the saved model read the loss and the metrics from this file.
      if (replica.compiled !== null && directory !== '') {
        await writeConfig(join(directory, modelFolder, compiledName), replica.config);
      }
      communicator.send({ type: 'saved', path });
    }
    await mailbox.receive('finish');
  });
}

/** @throws CheckpointError if the file cannot be written */
async function writeConfig(file: string, config: ResolvedConfig): Promise<void> {
  try {
    await writeFile(file, `${JSON.stringify(config, null, 2)}\n`);
  } catch (cause) {
    throw new CheckpointError(
      `Config ${file} can't be written (${systemCode(cause) ?? 'unknown error'}). Choose another --out with enough free space.`,
      { file },
      cause,
    );
  }
}
