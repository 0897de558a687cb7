/**
 * A worker's training across memberships. Each generation is joined, brought to the same state as all others, and trained in
 * until it ends: by the end of the run, or because somebody was lost or came. An aborted step leaves the replica as it was
 * before it, so the next generation goes on from there.
 */

import { join } from 'node:path';
import { totalSteps, type BatchPlan } from '../shared/data/sampler.js';
import type { ResolvedConfig } from '../shared/config/run-config.js';
import { endsWith, parseInterval } from '../shared/config/interval.js';
import { invariant } from '../shared/errors.js';
import { weightsSha256 } from '../shared/layout.js';
import type { Plan } from '../shared/protocol/messages.js';
import type { Communicator } from './communicator/communicator.js';
import { GenerationEnded } from './communicator/generation-ended.js';
import type { InjectedFaults } from './faults/injected-faults.js';
import type { Checkpoints } from './checkpoint/checkpoints.js';
import { evaluate, type Split } from './evaluate.js';
import type { Mailbox } from './mailbox.js';
import type { Optimizer } from './optimizer/optimizer.js';
import {
  participate,
  readStatistics,
  readWeights,
  writeStatistics,
  type Participation,
  type Replica,
} from './replica.js';
import { modelFolder, saveModel } from './save-model.js';
import { trainStep, type StepResult } from './train-step.js';

export interface Trainee {
  readonly replica: Replica;
  readonly communicator: Communicator;
  readonly mailbox: Mailbox;
  readonly checkpoints: Checkpoints;
  /** Those that a test asks for. */
  readonly faults: InjectedFaults | undefined;
}

/** What goes on from one generation to the next. */
interface Position {
  /** The last step that this replica has committed. */
  step: number;
  optimizer: Optimizer | undefined;
  /** Folder of the run. */
  out: string | null;
}

/** Until the coordinator says that the run is finished. @throws what ended it otherwise */
export async function trainGenerations(trainee: Trainee): Promise<void> {
  const { replica, communicator, mailbox, checkpoints, faults } = trainee;
  const position: Position = { step: 0, optimizer: undefined, out: null };
  try {
    for (;;) {
      try {
        const message = await mailbox.take('plan', 'checkpoint');
        if (message.type === 'checkpoint') {
          if (position.optimizer)
            await checkpoints.write(position.step, position.optimizer, message.directory);
          continue;
        }
        await trainGeneration(trainee, message.plan, position);
        return;
      } catch (error) {
        if (!(error instanceof GenerationEnded)) throw error;
        mailbox.acknowledge(error.generation);
        faults?.reach('recovery', position.step);
        communicator.send({ type: 'standing', generation: error.generation, step: position.step });
      }
    }
  } finally {
    await checkpoints.close();
    position.optimizer?.dispose();
    replica.model.dispose();
  }
}

async function trainGeneration(trainee: Trainee, plan: Plan, position: Position): Promise<void> {
  const { replica, communicator, mailbox, checkpoints, faults } = trainee;
  const { rank, generation } = plan;
  position.out = plan.out;
  const sharing = await communicator.join(plan);
  faults?.takePlace({ rank, worldSize: plan.workers.length });
  faults?.reach('meeting', position.step);
  const participation = participate(replica, communicator, plan, position.optimizer, faults?.reach);
  position.optimizer = participation.optimizer;
  communicator.send({ type: 'connected', generation, sharing });
  communicator.begin((await mailbox.take('go')).sharing);
  try {
    if (plan.restore !== null && rank === plan.source)
      position.step = await checkpoints.restore(plan.restore, participation.optimizer);
    catchUp(participation, plan, position);
    await train(participation, plan, position, trainee);
  } finally {
    participation.ledger?.flush();
    participation.tracer?.flush();
  }
  if (rank === 0) await checkpoints.last(position.step, participation.optimizer, position.out);
  communicator.send({
    type: 'finished',
    generation,
    steps: position.step,
    weightsSha256: weightsSha256(readWeights(replica)),
  });
  if (rank === 0) {
    const { directory } = await mailbox.take('save');
    const path = directory === '' ? '' : await saveModel(replica.model, join(directory, modelFolder));
    communicator.send({ type: 'saved', path });
  }
  await mailbox.take('finish');
}

/** Brings everybody to the state of the plan's source: weights, moments and statistics, bit for bit. */
function catchUp(participation: Participation, { step, source, rank }: Plan, position: Position): void {
  if (source === null) {
    invariant(step === position.step, `step ${position.step} where the plan goes on after ${step}`);
    return;
  }
  const { replica, buckets, optimizer, statistics, reach } = participation;
  const own = rank === source ? optimizer.save() : undefined;
  const [parameters, first, second] = [own?.parameters, own?.first, own?.second].map((values) =>
    // The result lies where the next one will.
    Float32Array.from(buckets.broadcast(step, values)),
  );
  for (const [local, vector] of statistics.inputs.entries()) {
    if (own && local === 0) vector.set(readStatistics(replica));
    else vector.fill(-0);
  }
  reach?.('catch-up', step);
  statistics.start(step);
  statistics.wait();
  if (position.step === step) return;
  invariant(parameters && first && second, 'a broadcast without values');
  optimizer.restore({ parameters, first, second });
  writeStatistics(replica, Float32Array.from(statistics.output));
  position.step = step;
}

async function train(
  participation: Participation,
  { generation, evaluated, rank }: Plan,
  position: Position,
  { mailbox, checkpoints, faults }: Trainee,
): Promise<void> {
  const { sampler, communicator, replica, tracer, clock } = participation;
  const { config } = replica;
  const steps = totalSteps(sampler.stepsPerEpoch, config.epochs, config.maxSteps);
  const often = parseInterval(config.evaluateEvery);
  const evaluateAfter = async (batch: BatchPlan, step: number): Promise<void> => {
    const epoch = batch.epoch + 1;
    if (step !== steps && !endsWith(often, step, sampler.stepsPerEpoch)) return;
    for (const split of evaluationsAfter(config, step === steps)) {
      if (step < evaluated.step || (step === evaluated.step && evaluated.splits.includes(split))) continue;
      const result = await evaluate(participation, split, step, () => mailbox.breathe());
      communicator.send({ type: 'evaluated', generation, split, epoch, step, ...result });
    }
  };
  // The last generation may have ended between a step and the evaluation that belongs to it.
  if (position.step > 0) await evaluateAfter(sampler.plan(position.step), position.step);
  for (let step = position.step + 1; step <= steps; step++) {
    const batch = sampler.plan(step);
    const work = (): StepResult => trainStep(participation, batch);
    const { loss, learningRate } = clock.step(() => (tracer ? tracer.step(step, work) : work()));
    position.step = step;
    faults?.reach('commit', step);
    const { times } = clock;
    const epoch = batch.epoch + 1;
    communicator.send({ type: 'committed', generation, step, epoch, loss, learningRate, times });
    if (rank === 0) checkpoints.after(step, sampler.stepsPerEpoch, participation.optimizer, position.out);
    await mailbox.breathe();
    await evaluateAfter(batch, step);
    await faults?.afterStep(() => replica.engine.tf.memory().numTensors);
    if (mailbox.stopsAfter(step)) {
      communicator.send({ type: 'stopped', generation, step });
      await mailbox.end();
    }
  }
}

/** The test set every time; the training set after the last, as the recipe prints it. */
function evaluationsAfter({ evaluate: what }: ResolvedConfig, last: boolean): Split[] {
  if (what === 'none') return [];
  return last && what === 'both' ? ['test', 'train'] : ['test'];
}
