/** The JSON of a model's topology, as tfjs and Keras write it: the parts that Lockstep reads and changes. */

/** A call of a layer: its inputs as [layer, call, output, arguments]. */
export type CallConfig = [layer: string, call: number, output: number, kwargs?: Record<string, unknown>][];

export interface LayerConfig {
  name?: string;
  class_name: string;
  config: ModelConfig & Record<string, unknown>;
  inbound_nodes?: CallConfig[];
}

export type TensorReference = [layer: string, call: number, output: number];

/** The configuration of a model; of a layer it has the name only, and `layer` if the layer is a wrapper. */
export interface ModelConfig {
  name?: string;
  layers?: LayerConfig[];
  input_layers?: TensorReference[];
  output_layers?: TensorReference[];
  layer?: LayerConfig;
}
