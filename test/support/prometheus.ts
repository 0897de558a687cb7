/** Prometheus' text format by a parser that isn't ours. */
import parse from 'parse-prometheus-text-format';

export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: 'COUNTER' | 'GAUGE' | 'HISTOGRAM' | 'SUMMARY' | 'UNTYPED';
  readonly metrics: readonly {
    readonly value?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly buckets?: Readonly<Record<string, string>>;
    readonly count?: string;
    readonly sum?: string;
  }[];
}

export function parseMetrics(text: string): ReadonlyMap<string, Metric> {
  return new Map((parse(text) as Metric[]).map((metric) => [metric.name, metric]));
}
