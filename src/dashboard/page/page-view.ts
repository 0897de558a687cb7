/** The parts of the page, drawn together from the displayed run and the runs that are compared with it. */

import type { Address } from './address.js';
import { Charts } from './charts.js';
import { Configuration } from './configuration.js';
import { ConfusionMatrix } from './confusion.js';
import { connectControls } from './controls.js';
import { Events } from './events.js';
import { showFailure } from './failure.js';
import { Histograms } from './histograms.js';
import { LookSlider } from './look-slider.js';
import { MistakeGrid } from './misclassified.js';
import { ModelTable } from './model.js';
import type { RunData } from './run-data.js';
import { Summary } from './summary.js';
import { Workers } from './workers.js';

export class PageView {
  readonly #summary = new Summary();
  readonly #charts: Charts;
  readonly #slider: LookSlider;
  readonly #configuration: Configuration;
  readonly #model = new ModelTable();
  readonly #workers = new Workers();
  readonly #events = new Events();
  readonly #confusion = new ConfusionMatrix();
  readonly #grid = new MistakeGrid();
  readonly #histograms = new Histograms();

  /** @param draw called when a setting changes what the charts show */
  constructor(address: Address, draw: () => void) {
    this.#charts = new Charts(address);
    this.#slider = new LookSlider((x) => this.#charts.look(x));
    this.#configuration = new Configuration(address);
    connectControls(address, this.#charts, draw);
  }

  /** @param connection a description of the connection's problem; null if there is none */
  show(run: RunData, compared: readonly RunData[], connection: string | null): void {
    const { axis } = this.#charts;
    this.#summary.show(run, connection);
    showFailure(run);
    this.#charts.show(run, compared);
    this.#slider.show(axis, axis.positions(run, run.steps));
    this.#configuration.show(run, compared);
    this.#model.show(run);
    this.#workers.show(run);
    this.#events.show(run.history.happenings);
    this.#confusion.show(run.confusion);
    this.#grid.show(run.misclassified);
    this.#histograms.show(run);
  }
}
