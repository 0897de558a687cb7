/**
 * Opens the reporters of a run together with its optional observers: the dashboard and the TensorBoard log. These are imported on
 * demand, because most runs need neither a web server nor protocol buffers.
 */

import { basename, dirname, join, resolve } from 'node:path';
import { parseAddress } from '../../dashboard/access.js';
import type { Dashboard } from '../../dashboard/server.js';
import { readEvents } from '../../shared/runs/read-events.js';
import type { TensorboardLog } from '../../tensorboard/tensorboard-log.js';
import { dashboardToken, host, kubeflowServer, otlpDestination } from '../environment/environment.js';
import type { RunHealth } from '../health/run-health.js';
import { version } from '../version.js';
import { KubeflowProgress } from './kubeflow-progress.js';
import { RunControls } from './run-controls.js';
import { openReporters, type Observer, type ReporterOptions, type Reporters } from './reporters.js';

export interface RunReporterOptions extends Omit<ReporterOptions, 'observers'> {
  readonly dashboard: string | true | undefined;
  readonly tensorboard: string | true | undefined;
  readonly otlp: string | true | undefined;
  readonly health: RunHealth | undefined;
  /** True for a run that is taken over: the dashboard shows its earlier events, as those of a resumed run. */
  readonly takenOver: boolean;
}

/** @throws ConfigError if a folder cannot be written or an address cannot be used */
export async function openRunReporters(options: RunReporterOptions): Promise<Reporters> {
  const { dashboard: address, tensorboard: folder, health, out } = options;
  let opened: Reporters | undefined;
  const notify = (message: string): void => {
    if (opened) opened.notice(message);
    else process.stderr.write(`Warning: ${message}\n`);
  };
  const controls = new RunControls();
  const dashboard =
    address === undefined ? undefined : await openRunDashboard(address, options, controls, notify);
  const observers: Observer[] = dashboard ? [dashboard] : [];
  const kubeflow = kubeflowServer();
  if (kubeflow) observers.push(new KubeflowProgress(kubeflow, notify));
  try {
    const tensorboard = folder === undefined ? undefined : await openTensorboard(folder, out, notify);
    if (tensorboard) observers.push(tensorboard);
    if (options.otlp !== undefined) observers.push(await openOtlp(options.otlp, notify));
    // The server answers until the process ends.
    if (health) observers.push({ emit: (event) => health.emit(event), close: () => Promise.resolve() });
    const reporters = (opened = openReporters({ ...options, observers, controls }));
    if (health) reporters.printLine(`Health: ${health.url}healthz and ${health.url}readyz`);
    if (tensorboard) reporters.printLine(`TensorBoard: tensorboard --logdir ${dirname(tensorboard.path)}`);
    if (dashboard) {
      reporters.printLine(`Dashboard: ${dashboard.entrance}`);
      reporters.emit({ event: 'dashboard', url: dashboard.url });
    }
    return reporters;
  } catch (error) {
    await Promise.all(observers.map((observer) => observer.close()));
    throw error;
  }
}

async function openTensorboard(
  folder: string | true,
  out: string,
  notify: (message: string) => void,
): Promise<TensorboardLog> {
  const module = await import('../../tensorboard/tensorboard-log.js');
  return new module.TensorboardLog({
    directory: folder === true ? join(out, 'tensorboard') : resolve(folder),
    host,
    startMs: Date.now(),
    notify,
  });
}

async function openOtlp(address: string | true, notify: (message: string) => void): Promise<Observer> {
  const { OtlpExporter } = await import('../../otlp/otlp-exporter.js');
  const { endpoint, headers } = otlpDestination();
  return new OtlpExporter({
    endpoint: address === true ? endpoint : address,
    headers,
    host,
    version,
    notify,
  });
}

async function openRunDashboard(
  address: string | true,
  { out, resume, takenOver }: RunReporterOptions,
  controls: RunControls,
  warn: (message: string) => void,
): Promise<Dashboard> {
  const { openDashboard } = await import('../../dashboard/server.js');
  const dashboard = await openDashboard({
    address: parseAddress(address),
    token: dashboardToken(),
    runs: dirname(out),
    live: basename(out),
    controls,
    warn,
  });
  // The charts of a continued run contain its earlier events.
  if (resume !== null || takenOver) {
    try {
      for await (const event of readEvents(out)) dashboard.recall(event);
    } catch {
      // The run continues in another folder, or its log is gone: the charts begin with the next event.
    }
  }
  return dashboard;
}
