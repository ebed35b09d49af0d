// A worker with credit (docs/protocol.rst): a DEALER socket, batches of tasks.

import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { setImmediate as breathe, setTimeout as pause } from "node:timers/promises";
import { Dealer, Push } from "zeromq";
import { commandLine, expand, failure, integer, Outbox, pack, ranges, solve, unpack } from "./wire.mjs";

const CREDIT = 8;
const LINGER = 2000; // ms: what a peer that is gone can hold up the end
const GRACE = 200; // ms: what was received before a connection broke is read first

const { tasks, results, task } = commandLine();

/** What is known from one HELLO to the next: a connection, the tasks that came over it, and their results. */
class Session {
  constructor(results) {
    this.results = results;
    this.dealer = new Dealer({ routingId: `node-${randomBytes(12).toString("hex")}`, linger: LINGER });
    this.outbox = new Outbox(this.dealer);
    this.run = undefined;
    this.limit = Infinity;
    this.number = 0;
    this.held = new Set();
    this.batches = [];
    this.working = false;
    this.closed = false;
  }

  /** Serve until the run is over (true), or until this has to begin again (false). */
  async serve() {
    this.dealer.events.on("disconnect", async () => {
      await pause(GRACE);
      this.close();
    });
    try {
      this.dealer.connect(tasks);
      await this.tell("HELLO", {
        task,
        data: { protocol: 1, name: "node", host: hostname(), pid: process.pid, hands: 1 },
      });
      for (;;) {
        const [, frame] = await this.dealer.receive();
        const over = await this.handle(unpack(frame));
        if (over !== undefined) {
          return over;
        }
      }
    } catch (error) {
      if (this.closed) {
        return false;
      }
      throw error;
    } finally {
      this.close();
    }
  }

  close() {
    if (!this.closed) {
      this.closed = true;
      clearInterval(this.beat);
      this.dealer.close();
    }
  }

  /** Send an envelope to the distributor. */
  tell(type, fields) {
    return this.outbox.put(() => ["", pack(type, fields)]);
  }

  async handle(message) {
    const { type, run, data } = message;
    if (type === "RESET") {
      return false; // whatever run it names: it comes from one that does not know us
    }
    if (type === "WELCOME") {
      this.welcome(run, data);
    } else if (this.run !== undefined && run !== this.run) {
      return undefined;
    } else if (type === "METADATA") {
      await this.tell("RDY", { run: this.run, credit: CREDIT });
    } else if (type === "DATA") {
      this.take(message);
    } else if (type === "END") {
      await this.tell("BYE", { run });
      return true;
    }
    return undefined;
  }

  welcome(run, limits) {
    this.run = run;
    this.limit = Number(limits.max_message);
    clearInterval(this.beat);
    this.beat = setInterval(() => this.heartbeat(), 1000 * Number(limits.heartbeat));
  }

  heartbeat() {
    // What is held is looked up when it is this message's turn: after every FAIL that was said before.
    return this.outbox.put(() => {
      const held = ranges([...this.held].sort((a, b) => a - b));
      return ["", pack("HEARTBEAT", { run: this.run, number: integer(this.number), held })];
    });
  }

  take({ ids, attempt, number, data }) {
    const batch = expand(ids).map((id, index) => ({ id, data: data[index] }));
    this.number = Number(number);
    for (const { id } of batch) {
      this.held.add(id);
    }
    this.batches.push({ batch, attempt: integer(attempt) });
    if (!this.working) {
      this.working = true;
      this.work(); // an error in there is nobody's to catch: it ends the process
    }
  }

  async work() {
    while (this.batches.length > 0 && !this.closed) {
      const { batch, attempt } = this.batches.shift();
      const done = [];
      for (const { id, data } of batch) {
        try {
          done.push({ id, result: solve(data, attempt) });
        } catch (error) {
          await this.fail(id, attempt, error, true);
        }
        await breathe(); // heartbeats and messages come first
      }
      await this.deliver(done, attempt);
    }
    this.working = false;
  }

  async fail(id, attempt, error, retry) {
    await this.tell("FAIL", {
      run: this.run,
      id: integer(id),
      attempt,
      error: failure(error, retry),
    });
    this.held.delete(id);
  }

  /** Send results of one attempt to the collector, in as many frames as their size asks for. */
  async deliver(done, attempt) {
    if (done.length === 0 || this.closed) {
      return;
    }
    const ids = done.map(({ id }) => id);
    const frame = pack("DATA", {
      task,
      run: this.run,
      ids: ranges(ids),
      attempt,
      data: done.map(({ result }) => result),
    });
    if (frame.length <= this.limit) {
      await this.results.put(() => frame);
      for (const id of ids) {
        this.held.delete(id);
      }
    } else if (done.length === 1) {
      await this.fail(ids[0], attempt, new RangeError(`a result of ${frame.length} bytes`), false);
    } else {
      const half = done.length >> 1;
      await this.deliver(done.slice(0, half), attempt);
      await this.deliver(done.slice(half), attempt);
    }
  }
}

const push = new Push({ linger: LINGER });
push.connect(results);
const outbox = new Outbox(push);
let over = false;
while (!over) {
  over = await new Session(outbox).serve();
}
push.close();
