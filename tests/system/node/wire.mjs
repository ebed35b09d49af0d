// What both workers share: envelopes as docs/protocol.rst describes them, and the work itself.

import { decode, encode, ExtData, ExtensionCodec } from "@msgpack/msgpack";

// Extension types stay what they are: ExtData goes out as it came in. That is the library's default for all but
// msgpack's own timestamps (-1), which it would turn into a Date and lose digits of.
const extensionCodec = new ExtensionCodec();
extensionCodec.register({
  type: -1,
  encode: () => null,
  decode: (payload) => new ExtData(-1, payload),
});

// With useBigInt64 what is wider than 32 bits is a BigInt on both sides. A Number of that size would go out as a
// float, so integer() below has to see every integer that is computed here.
const OPTIONS = {
  extensionCodec,
  useBigInt64: true,
  // JavaScript has no other keys than strings in its objects; one strange key must not cost a batch of tasks.
  mapKeyConverter: (key) => (typeof key === "number" ? key : String(key)),
};

const UNSIGNED_64 = 2n ** 64n;
const SIGNED_64 = 2n ** 63n;

/** An integer in the form that goes out as an integer: a Number up to 32 bits, a BigInt above. */
export function integer(value) {
  const big = BigInt(value);
  if (big >= UNSIGNED_64 || big < -SIGNED_64) {
    throw new RangeError(`${big} does not fit into 64 bits`);
  }
  return big >= -(2n ** 31n) && big < 2n ** 32n ? Number(big) : big;
}

/** One frame: every envelope has a type, a task and data. */
export function pack(type, fields = {}) {
  return encode({ type, task: "", data: {}, ...fields }, OPTIONS);
}

export function unpack(frame) {
  if (frame.length === 0) {
    return { type: "", task: "", data: {} };
  }
  return decode(frame, OPTIONS);
}

/** The ids of ranges [first, how many], in order. They are at most 2 ** 53 - 1, so Numbers hold them. */
export function expand(ranges) {
  const ids = [];
  for (const [first, count] of ranges) {
    for (let offset = 0; offset < Number(count); offset += 1) {
      ids.push(Number(first) + offset);
    }
  }
  return ids;
}

/** Ranges [first, how many] of ids, keeping their order. */
export function ranges(ids) {
  const found = [];
  for (const id of ids) {
    const last = found.at(-1);
    if (last !== undefined && id === last[0] + last[1]) {
      last[1] += 1;
    } else {
      found.push([id, 1]);
    }
  }
  return found.map(([first, count]) => [integer(first), integer(count)]);
}

/** The work. What a task has as `keep` comes back untouched, whatever extension types are in it. */
export function solve(task, attempt) {
  if (task.fail === true) {
    throw new Error(`attempt ${attempt}: the task asked for it`);
  }
  const result = { r: integer(BigInt(task.i) ** 2n), by: "node" };
  if (task.keep !== undefined) {
    result.keep = task.keep;
  }
  return result;
}

/** The `error` of a FAIL. */
export function failure(error, retry = true) {
  return {
    type: String(error?.name ?? typeof error),
    text: String(error?.message ?? error),
    traceback: String(error?.stack ?? ""),
    retry,
  };
}

/** Sends messages in order: a socket takes the next one only when it is done with the one before. */
export class Outbox {
  constructor(socket) {
    this.socket = socket;
    this.last = Promise.resolve();
  }

  /** Send what `make` returns when its turn comes; done when it is sent, or when the socket was closed. */
  put(make) {
    this.last = this.last.then(async () => {
      try {
        if (!this.socket.closed) {
          await this.socket.send(make());
        }
      } catch (error) {
        if (!this.socket.closed) {
          throw error;
        }
      }
    });
    return this.last;
  }
}

/** The three arguments of a worker. */
export function commandLine() {
  const [tasks, results, task] = process.argv.slice(2);
  if (task === undefined) {
    console.error("usage: node WORKER.mjs TASK_ENDPOINT COLLECTOR_ENDPOINT TASK_TYPE");
    process.exit(2);
  }
  return { tasks, results, task };
}
