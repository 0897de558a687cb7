/**
 * The messages of an event file, as far as they are written here: names, types and numbers of TensorFlow's
 * event.proto, summary.proto, histogram.proto, graph.proto, node_def.proto, attr_value.proto and tensor_shape.proto.
 */

export const eventProto = `
syntax = "proto3";
package tensorflow;

message Event {
  double wall_time = 1;
  int64 step = 2;
  oneof what {
    string file_version = 3;
    bytes graph_def = 4;
    Summary summary = 5;
    SessionLog session_log = 7;
  }
}

message SessionLog {
  enum SessionStatus {
    STATUS_UNSPECIFIED = 0;
    START = 1;
  }
  SessionStatus status = 1;
}

message Summary {
  message Value {
    string tag = 1;
    oneof value {
      float simple_value = 2;
      HistogramProto histo = 5;
    }
  }
  repeated Value value = 1;
}

message HistogramProto {
  double min = 1;
  double max = 2;
  double num = 3;
  double sum = 4;
  double sum_squares = 5;
  repeated double bucket_limit = 6 [packed = true];
  repeated double bucket = 7 [packed = true];
}

message GraphDef {
  repeated NodeDef node = 1;
  VersionDef versions = 4;
}

message VersionDef {
  int32 producer = 1;
}

message NodeDef {
  string name = 1;
  string op = 2;
  repeated string input = 3;
  map<string, AttrValue> attr = 5;
}

message AttrValue {
  message ListValue {
    repeated TensorShapeProto shape = 7;
  }
  oneof value {
    ListValue list = 1;
    int64 i = 3;
  }
}

message TensorShapeProto {
  message Dim {
    int64 size = 1;
  }
  repeated Dim dim = 2;
}
`;
