/**
 * A worker's training across memberships. Each generation is joined, brought to the same state as all others, and trained in
 * until it ends: by the end of the run, or because somebody was lost or came. An aborted step leaves the replica as it was
 * before it, so the next generation goes on from there.
 */

import { join } from 'node:path';
import { totalSteps, type BatchPlan } from '../../shared/data/sampler.js';
import { endsWith, parseInterval } from '../../shared/config/interval.js';
import { invariant } from '../../shared/errors.js';
import { maxMisclassified, pictureOf } from '../../shared/evaluation/misclassified.js';
import { maxLayers } from '../../shared/model/model-layer.js';
import { weightsSha256 } from '../../shared/model/layout.js';
import type { Range } from '../../shared/sharding/identifiers.js';
import type { Plan } from '../../shared/protocol/messages.js';
import type { Communicator } from '../communicator/communicator.js';
import { GenerationEnded } from '../communicator/generation-ended.js';
import type { BitFlip } from '../faults/bit-flip.js';
import type { FaultInjector } from '../faults/fault-injector.js';
import type { Checkpoints } from '../checkpoint/checkpoints.js';
import { evaluate, type Split } from '../evaluation/evaluate.js';
import { classifies, MisclassifiedCollector } from '../evaluation/misclassified-collector.js';
import type { Mailbox } from '../mailbox.js';
import { dependsOnEvaluation, hasStopped, onEvaluation } from '../optimizer/evaluation-schedule.js';
import { joinGeneration, type GenerationContext, type Replica } from './replica.js';
import { modelFolder, saveModel } from '../model-files/save-model.js';
import { shareState } from './share-state.js';
import { topologyOf } from '../model-files/topology.js';
import { activeShards, trainStep, type StepResult } from './train-step.js';
import type { TrainingState } from './training-state.js';
import { readWeights } from './weights.js';

export interface TrainingSession {
  readonly replica: Replica;
  readonly communicator: Communicator;
  readonly mailbox: Mailbox;
  readonly checkpoints: Checkpoints;
  /** Undefined unless the launcher requested faults. */
  readonly faults: FaultInjector | undefined;
  readonly bitFlip: BitFlip | undefined;
}

/** What goes on from one generation to the next. */
interface Position {
  /** The last step that this replica has committed. */
  step: number;
  state: TrainingState | undefined;
  /** Folder of the run. */
  out: string | null;
  /** The coordinator has been told what the model is made of. */
  described: boolean;
}

/** Until the coordinator says that the run is finished. @throws what ended it otherwise */
export async function trainGenerations(trainee: TrainingSession): Promise<void> {
  const { replica, communicator, mailbox, checkpoints, faults } = trainee;
  const position: Position = { step: 0, state: undefined, out: null, described: false };
  try {
    for (;;) {
      try {
        const message = await mailbox.take('plan', 'checkpoint');
        if (message.type === 'checkpoint') {
          if (position.state) await checkpoints.write(position.step, position.state, message.directory);
          continue;
        }
        await trainGeneration(trainee, message.plan, position);
        return;
      } catch (error) {
        if (!(error instanceof GenerationEnded)) throw error;
        mailbox.acknowledge(error.generation);
        faults?.faultPointHit('recovery', position.step);
        communicator.send({ type: 'last_committed', generation: error.generation, step: position.step });
      }
    }
  } finally {
    await checkpoints.close();
    position.state?.dispose();
    replica.model.dispose();
  }
}

async function trainGeneration(trainee: TrainingSession, plan: Plan, position: Position): Promise<void> {
  const { replica, communicator, mailbox, checkpoints, faults } = trainee;
  const { rank, generation } = plan;
  position.out = plan.out;
  const sharing = await communicator.join(plan);
  faults?.joinedGeneration({ rank, worldSize: plan.workers.length });
  faults?.faultPointHit('meeting', position.step);
  const participation = joinGeneration(replica, communicator, plan, position.state, {
    onFaultPoint: faults?.faultPointHit,
    bitFlip: trainee.bitFlip,
  });
  const { state } = participation;
  position.state = state;
  communicator.send({ type: 'connected', generation, sharing });
  communicator.begin((await mailbox.take('start_generation')).sharing);
  try {
    if (plan.restore !== null && rank === plan.source)
      position.step = await checkpoints.restore(plan.restore, state);
    catchUp(participation, plan, position);
    if (rank === 0) describe(participation, plan, position);
    await train(participation, plan, position, trainee);
  } finally {
    participation.ledger?.flush();
    participation.tracer?.flush();
  }
  if (rank === 0) await checkpoints.last(position.step, state, position.out);
  await state.withResult(async () => {
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
  });
}

/** Brings everybody to the state of the plan's source, bit for bit. */
function catchUp(participation: GenerationContext, { step, source, rank }: Plan, position: Position): void {
  if (source === null) {
    invariant(step === position.step, `step ${position.step} where the plan goes on after ${step}`);
    return;
  }
  const { state } = participation;
  const shared = shareState(participation, step, rank === source ? state.save() : undefined);
  if (position.step === step) return;
  state.restore(shared);
  position.step = step;
}

function describe(
  { replica, communicator }: GenerationContext,
  { generation }: Plan,
  position: Position,
): void {
  if (position.described) return;
  position.described = true;
  const layers = topologyOf(replica.model);
  if (layers.length <= maxLayers) communicator.send({ type: 'model', generation, layers });
}

async function train(
  participation: GenerationContext,
  { generation, evaluated, rank, workers: { length: worldSize } }: Plan,
  position: Position,
  { mailbox, checkpoints, faults }: TrainingSession,
): Promise<void> {
  const { sampler, reader, communicator, replica, tracer, state, clock } = participation;
  const rangesOf = (batch: BatchPlan): Range[] =>
    activeShards(participation, batch)
      .flat()
      .map(({ start, count }) => ({ start, end: start + count }));
  const { config } = replica;
  const steps = totalSteps(sampler.stepsPerEpoch, config.epochs, config.maxSteps);
  const often = parseInterval(config.evaluateEvery);
  const evaluateSplit = async (split: Split, batch: BatchPlan, judges: boolean): Promise<void> => {
    const { step, epoch } = batch;
    const known = step < evaluated.step || (step === evaluated.step && evaluated.splits.includes(split));
    // One of this generation's workers may have been lost before it could judge what the others have reported.
    if (known && !judges) return;
    const mistakes = classifies(replica.data[split])
      ? new MisclassifiedCollector(Math.ceil(maxMisclassified / worldSize))
      : undefined;
    const result = await state.withResult(() =>
      evaluate(participation, split, step, () => mailbox.yieldToEventLoop(), mistakes),
    );
    if (!known) {
      const at = { generation, split, epoch: epoch + 1, step };
      if (mistakes) {
        const picture = pictureOf(replica.data[split].inputs[0]?.shape ?? []);
        communicator.send({ type: 'misclassified', ...at, samples: [...mistakes.worst], picture });
      }
      communicator.send({ type: 'evaluated', ...at, ...result });
    }
    if (judges) onEvaluation(config, state.schedulerState, step, { ...result.metrics, loss: result.loss });
  };
  const evaluateAfter = async (batch: BatchPlan): Promise<void> => {
    if (config.evaluate === 'none') return;
    const due = endsWith(often, batch.step, sampler.stepsPerEpoch);
    if (batch.step !== steps && !due) return;
    // Where the run's end cuts an interval short nothing is decided, so that a run that goes on from there is the same.
    await evaluateSplit('test', batch, due && dependsOnEvaluation(config));
    // As the recipe prints it: the training set after the last step.
    const last = batch.step === steps || hasStopped(config, state.schedulerState);
    if (last && config.evaluate === 'both') await evaluateSplit('train', batch, false);
  };
  // The last generation may have ended between a step and the evaluation that belongs to it.
  if (position.step > 0) await evaluateAfter(sampler.plan(position.step));
  for (let step = position.step + 1; step <= steps && !hasStopped(config, state.schedulerState); step++) {
    const batch = sampler.plan(step);
    await reader.prepare(batch, step < steps ? sampler.plan(step + 1) : undefined, rangesOf);
    const work = (): StepResult => trainStep(participation, batch);
    const { loss, learningRate } = clock.step(() => (tracer ? tracer.step(step, work) : work()));
    position.step = step;
    faults?.faultPointHit('commit', step);
    const { times } = clock;
    const epoch = batch.epoch + 1;
    communicator.send({ type: 'committed', generation, step, epoch, loss, learningRate, times });
    if (rank === 0) checkpoints.after(step, sampler.stepsPerEpoch, state, position.out);
    await mailbox.yieldToEventLoop();
    await evaluateAfter(batch);
    await faults?.afterStep(() => replica.engine.tf.memory().numTensors);
    if (mailbox.stopsAfter(step)) {
      communicator.send({ type: 'drained', generation, step });
      await mailbox.end();
    }
  }
}
