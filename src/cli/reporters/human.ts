/** What a person sees: the recipe's lines on stderr, and a progress bar when stderr is a terminal. */

import { Presets, SingleBar } from 'cli-progress';
import type { RunEvent } from '../../shared/run-events.js';
import { timelineTable } from './timeline-table.js';

export interface HumanOptions {
  readonly stream: NodeJS.WritableStream & { isTTY?: boolean };
}

export class HumanReporter {
  readonly #stream: HumanOptions['stream'];
  readonly #bar: SingleBar | undefined;
  #barActive = false;
  #logEvery = 100;
  #epochs = 1;
  #stepsPerEpoch = 1;
  #rate = 0;

  constructor({ stream }: HumanOptions) {
    this.#stream = stream;
    if (stream.isTTY === true) {
      const format = ' {bar} {value}/{total} steps · {rate} images/s · {eta_formatted} left · loss {loss}';
      this.#bar = new SingleBar(
        { stream, format, hideCursor: true, clearOnComplete: true, etaBuffer: 50, gracefulExit: false },
        Presets.shades_classic,
      );
    }
  }

  emit(event: RunEvent): void {
    switch (event.event) {
      case 'run': {
        const { config } = event;
        this.#logEvery = config.logEvery;
        const workers = `${config.workers} ${config.workers === 1 ? 'worker' : 'workers'}`;
        this.#line(
          `${config.name}: ${workers}, ${config.shards} shards, batch ${config.batchSize}, ${config.threads} threads a worker, seed ${config.seed}`,
        );
        break;
      }
      case 'worker':
        if (event.state !== 'joined') this.#line(event.reason ?? `rank ${event.rank ?? '?'} left`);
        else this.#line(`rank ${event.rank ?? '?'} (pid ${event.pid} on ${event.host}): ${event.engine}`);
        break;
      case 'generation': {
        const { length } = event.workers;
        const workers = `${length} ${length === 1 ? 'worker' : 'workers'}`;
        this.#line(`Going on after step ${event.step} with ${workers} (${event.seconds.toFixed(1)} s)`);
        break;
      }
      case 'start':
        this.#epochs = event.epochs;
        this.#stepsPerEpoch = event.stepsPerEpoch;
        this.#line(`${event.parameters} parameters, ${event.steps} steps`);
        this.#bar?.start(event.steps, 0, { rate: '–', loss: '–' });
        this.#barActive = this.#bar !== undefined;
        break;
      case 'step': {
        this.#rate = event.imagesPerSecond;
        const inEpoch = ((event.step - 1) % this.#stepsPerEpoch) + 1;
        if (inEpoch % this.#logEvery === 0) {
          const rate = this.#bar ? '' : `, ${Math.round(this.#rate)} images/s`;
          this.#line(
            `Epoch:${event.epoch}/${this.#epochs}, step:${inEpoch}, loss:${event.loss.toFixed(4)}${rate}`,
          );
        }
        this.#bar?.update(event.step, { rate: Math.round(this.#rate), loss: event.loss.toFixed(4) });
        break;
      }
      case 'eval': {
        const percent = (event.accuracy * 100).toFixed(3);
        const name = event.split === 'test' ? 'Test set' : 'Train set';
        this.#line(
          `${name}${event.epoch > 0 ? `, epoch ${event.epoch}` : ''}: Average loss: ${event.loss.toFixed(4)}, Accuracy: ${event.correct}/${event.count} (${percent}%)`,
        );
        break;
      }
      case 'checkpoint':
        this.#line(`Checkpoint of step ${event.step}: ${event.path}`);
        break;
      case 'resumed':
        for (const reason of event.skipped) this.#line(`Skipped: ${reason}`);
        this.#line(`Going on after step ${event.step} from ${event.path}`);
        break;
      case 'timeline':
        this.#stopBar();
        for (const line of timelineTable(event)) this.#line(line);
        break;
      case 'saved':
        this.#line(`Model saved to ${event.path}`);
        break;
      case 'done':
        this.#stopBar();
        this.#line(
          `Done: ${event.steps} steps in ${event.seconds.toFixed(1)} s, ${Math.round(event.imagesPerSecond)} images/s, weights ${event.weightsSha256.slice(0, 16)}`,
        );
        break;
      case 'warning':
        this.#line(`Warning: ${event.message}`);
        break;
      case 'error':
        this.#stopBar();
        this.#line(`Error (${event.code}): ${event.message}`);
        break;
    }
  }

  close(): void {
    this.#stopBar();
  }

  /** A line above the bar. */
  #line(text: string): void {
    if (this.#barActive && this.#stream.isTTY === true) this.#stream.write('\r\u001b[K');
    this.#stream.write(`${text}\n`);
    if (this.#barActive) this.#bar?.render();
  }

  #stopBar(): void {
    if (this.#barActive) this.#bar?.stop();
    this.#barActive = false;
  }
}
