/** Evaluates at the steps that the configuration names, and reports the results to the coordinator. */

import { endsWith, parseInterval, type Interval } from '../../shared/config/interval.js';
import type { BatchPlan } from '../../shared/data/sampler.js';
import { maxMisclassified } from '../../shared/evaluation/misclassified.js';
import type { Plan } from '../../shared/protocol/messages.js';
import { Answers } from '../evaluation/answers.js';
import { evaluate } from '../evaluation/evaluate.js';
import { classifies } from '../evaluation/misclassified-collector.js';
import type { Split } from '../evaluation/shard-totals.js';
import type { Interruptible } from '../mailbox.js';
import { dependsOnEvaluation, hasStopped, onEvaluation } from '../optimizer/evaluation-decisions.js';
import type { EvaluationContext, GenerationContext } from './generation-context.js';

export type ScheduledEvaluationsContext = EvaluationContext & Pick<GenerationContext, 'sampler' | 'state'>;
export type ScheduledEvaluationsPlan = Pick<Plan, 'generation' | 'evaluated' | 'workers'>;

export class ScheduledEvaluations {
  readonly #context: ScheduledEvaluationsContext;
  readonly #plan: ScheduledEvaluationsPlan;
  readonly #lastStep: number;
  readonly #interval: Interval;
  readonly #mailbox: Interruptible;

  /** @param lastStep the run's last step */
  constructor(
    context: ScheduledEvaluationsContext,
    plan: ScheduledEvaluationsPlan,
    lastStep: number,
    mailbox: Interruptible,
  ) {
    this.#context = context;
    this.#plan = plan;
    this.#lastStep = lastStep;
    this.#interval = parseInterval(context.replica.config.evaluateEvery);
    this.#mailbox = mailbox;
  }

  /**
   * Runs the evaluations that belong to a committed step. The test set is evaluated at the end of each interval and of the run. With
   * `evaluate: both`, the training set is evaluated at the end of the run. Every worker of the generation must call it.
   */
  async after(batch: BatchPlan): Promise<void> {
    const { replica, sampler, state } = this.#context;
    const { config, data } = replica;
    if (config.evaluate === 'none') return;
    const intervalEnds = endsWith(this.#interval, batch.step, sampler.stepsPerEpoch);
    const runEnds = batch.step === this.#lastStep;
    if (!runEnds && !intervalEnds) return;
    // The last step can lie inside an interval. If the run is later resumed with more steps, its result must equal that of a run that had
    // more steps from the start. Such a run has no evaluation at this step. This evaluation must therefore not change the scheduler state.
    if (data.test.count > 0) await this.#evaluate('test', batch, intervalEnds && dependsOnEvaluation(config));
    const stops = runEnds || hasStopped(config, state.schedulerState);
    if (stops && config.evaluate === 'both') await this.#evaluate('train', batch, false);
  }

  /** @param decides true if the result changes the scheduler state (learning rate or early stopping) */
  async #evaluate(split: Split, { step, epoch }: BatchPlan, decides: boolean): Promise<void> {
    const { replica, state, communicator } = this.#context;
    const { generation, evaluated, workers } = this.#plan;
    const reported = step < evaluated.step || (step === evaluated.step && evaluated.splits.includes(split));
    // An evaluation that was reported before is skipped, unless it changes the scheduler state. It is then repeated, because its generation
    // may have ended before every worker had applied the result.
    if (reported && !decides) return;
    const answers = classifies(replica.data[split])
      ? new Answers(Math.ceil(maxMisclassified / workers.length))
      : undefined;
    const result = await state.withResult(() => evaluate(this.#context, split, step, this.#mailbox, answers));
    if (!reported) {
      const at = { generation, split, epoch: epoch + 1, step };
      for (const report of answers?.reports(replica.data[split]) ?? [])
        communicator.send({ ...report, ...at });
      communicator.send({ type: 'evaluated', ...at, ...result });
    }
    if (decides) {
      const results = { ...result.metrics, loss: result.loss };
      onEvaluation(replica.config, state.schedulerState, step, results);
    }
  }
}
