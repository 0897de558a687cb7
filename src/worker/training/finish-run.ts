/** Ends a run after its last step. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compiledName, modelFolder } from '../../shared/artefacts/artefact.js';
import type { ResolvedConfig } from '../../shared/config/run-config.js';
import { CheckpointError, systemCode } from '../../shared/errors.js';
import { weightsSha256 } from '../../shared/model/layout.js';
import type { Plan } from '../../shared/protocol/messages.js';
import { saveModel } from '../model-files/save-model.js';
import { savePreprocessing } from '../model-files/preprocessing-file.js';
import { checkFiniteWeights } from './diagnose.js';
import type { GenerationContext } from './generation-context.js';
import type { Replica } from './replica.js';
import type { Progress, TrainingSession } from './training-session.js';
import { readWeights } from './weights.js';

/**
 * Reports the hash of the final weights. The plan's writer also writes the last checkpoint and the model. Resolves when the coordinator has
 * confirmed the end of the run. If the configuration has `ema`, the averaged weights are the final ones.
 * @throws GenerationEnded if the generation ends before the coordinator has confirmed the end of the run
 * @throws DivergedError if a final weight is not finite. The model is not written in this case.
 */
export async function finishRun(
  { checkpoints, communicator, mailbox, replica, storage }: TrainingSession,
  { state }: Pick<GenerationContext, 'state'>,
  { rank, writer, generation }: Pick<Plan, 'rank' | 'writer' | 'generation'>,
  { step, out }: Pick<Progress, 'step' | 'out'>,
): Promise<void> {
  checkFiniteWeights(replica, readWeights(replica), step);
  if (rank === writer) await mailbox.during(checkpoints.last(step, state, out));
  await state.withResult(async () => {
    const weights = readWeights(replica);
    checkFiniteWeights(replica, weights, step);
    const sha256 = weightsSha256(weights);
    communicator.send({ type: 'finished', generation, steps: step, weightsSha256: sha256 });
    if (rank === writer) {
      const { directory } = await mailbox.receive('save');
      const saved =
        directory === '' ? '' : await save(replica, storage.folderFor(directory), () => communicator.tick());
      const path = saved === '' ? '' : await mailbox.during(storage.deliverModel(saved, step));
      communicator.send({ type: 'saved', path });
    }
    await mailbox.receive('finish');
  });
}

/** Saves the model in a folder and returns the path of its model.json. @throws CheckpointError if it cannot be written */
async function save(
  { model, data, compiled, config }: Replica,
  folder: string,
  onPiece: () => void,
): Promise<string> {
  const path = await saveModel(model, join(folder, modelFolder), onPiece);
  if (data.preprocessing) await savePreprocessing(path, data.preprocessing);
  // Evaluations of the saved model read the loss and the metrics from this file.
  if (compiled !== null) await writeConfig(join(folder, modelFolder, compiledName), config);
  return path;
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
