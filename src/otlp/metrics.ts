/** Translates a run's events to OTLP metrics in their JSON form. Knows no HTTP. */

import type { TimedEvent } from '../shared/runs/run-events.js';
import { attributesOf, nanoseconds, numberValue, type Attributes } from './values.js';

/** One value of one metric at one time. */
export interface Measurement {
  readonly name: string;
  readonly unit: string;
  /** A gauge is the last value; a sum is a total since the start of the run. */
  readonly kind: 'gauge' | 'sum';
  readonly value: number;
  readonly timeMs: number;
  readonly attributes: Attributes;
}

/** Returns the measurements of an event; most events have none. */
export function measurementsOf(event: TimedEvent): readonly Measurement[] {
  const { timeMs } = event;
  const gauge = (name: string, unit: string, value: number, attributes: Attributes = {}): Measurement => ({
    name: `lockstep.${name}`,
    unit,
    kind: 'gauge',
    value,
    timeMs,
    attributes,
  });
  switch (event.event) {
    case 'step':
      return [
        { ...gauge('steps', '{step}', event.step), kind: 'sum' },
        gauge('epoch', '{epoch}', event.epoch),
        gauge('loss', '1', event.loss, { split: 'batch' }),
        gauge('learning_rate', '1', event.learningRate),
        gauge('throughput', '{sample}/s', event.imagesPerSecond),
        ...Object.entries(event.metrics ?? {}).map(([metric, value]) =>
          gauge('metric', '1', value, { metric, split: 'batch' }),
        ),
      ];
    case 'eval':
      return [
        gauge('loss', '1', event.loss, { split: event.split }),
        ...Object.entries(event.metrics).map(([metric, value]) =>
          gauge('metric', '1', value, { metric, split: event.split }),
        ),
      ];
    case 'scalars':
      return Object.entries(event.values).map(([name, value]) => gauge('scalar', '1', value, { name }));
    case 'status':
      return event.workers.flatMap(({ rank, pid, host, usage }) => {
        const worker = { host, pid, ...(rank !== null && { rank }) };
        return usage === undefined
          ? []
          : [
              gauge('worker.memory', 'By', usage.memoryBytes, worker),
              ...(usage.cores === null ? [] : [gauge('worker.cores', '{cpu}', usage.cores, worker)]),
            ];
      });
    default:
      return [];
  }
}

/** Returns `metrics` of OTLP's ScopeMetrics: one metric per name, with all of its data points. */
export function metricsOf(measurements: readonly Measurement[], startMs: number): readonly object[] {
  const byName = new Map<string, Measurement[]>();
  for (const one of measurements) {
    const same = byName.get(one.name);
    if (same) same.push(one);
    else byName.set(one.name, [one]);
  }
  return [...byName].map(([name, points]) => {
    const [{ unit, kind } = { unit: '1', kind: 'gauge' as const }] = points;
    const dataPoints = points.map(({ value, timeMs, attributes }) => ({
      attributes: attributesOf(attributes),
      ...(kind === 'sum' && { startTimeUnixNano: nanoseconds(startMs) }),
      timeUnixNano: nanoseconds(timeMs),
      ...(kind === 'sum' ? { asInt: String(value) } : { asDouble: numberValue(value) }),
    }));
    // 2: the values are totals since the start (AGGREGATION_TEMPORALITY_CUMULATIVE).
    const sum = { dataPoints, aggregationTemporality: 2, isMonotonic: true };
    return { name, unit, ...(kind === 'sum' ? { sum } : { gauge: { dataPoints } }) };
  });
}
