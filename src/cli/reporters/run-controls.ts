/** Requests of the dashboard's users to a live run. They reach the run once it trains. */

import { stopSignalsOfProcess } from '../../launcher/stop-signals.js';
import { stoppedOnDashboard } from '../../shared/exit-status.js';

export class RunControls {
  #checkpoint: (() => void) | undefined;

  /** @param checkpoint asks the run's coordinator for a checkpoint */
  connect(checkpoint: () => void): void {
    this.#checkpoint = checkpoint;
  }

  /** Ends the run with a checkpoint, as a stop signal does. */
  stop(): void {
    stopSignalsOfProcess().request(stoppedOnDashboard);
  }

  checkpoint(): void {
    this.#checkpoint?.();
  }
}
