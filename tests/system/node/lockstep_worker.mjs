// A worker in lock step (docs/protocol.rst): a REQ socket, one task at a time.

import { setTimeout as pause } from "node:timers/promises";
import { Push, Request } from "zeromq";
import { commandLine, failure, integer, pack, solve, unpack } from "./wire.mjs";

const LINGER = 2000; // ms: what a peer that is gone can hold up the end
const GRACE = 200; // ms: what was received before a connection broke is read first

const { tasks, results, task } = commandLine();

/** Ask on one socket until the run is over (true) or the connection breaks (false). */
async function session(push) {
  const request = new Request({ linger: LINGER });
  let broken = false;
  request.events.on("disconnect", async () => {
    await pause(GRACE);
    if (!request.closed) {
      broken = true;
      request.close(); // whoever waits in receive() is woken by an error
    }
  });

  const ask = async (envelope) => {
    await request.send(envelope);
    const [frame] = await request.receive();
    return unpack(frame);
  };

  try {
    request.connect(tasks);
    let answer = await ask("");
    while (answer.type !== "END") {
      answer = await ask(await answerTo(answer, push));
    }
    return true;
  } catch (error) {
    if (broken) {
      return false;
    }
    throw error;
  } finally {
    if (!request.closed) {
      request.close();
    }
  }
}

/** Do what an answer says; the next request. */
async function answerTo(answer, push) {
  const ready = pack("RDY", { task });
  if (answer.type !== "DATA") {
    return ready; // METADATA, which these tasks have no use for
  }
  const { run, data } = answer;
  const id = integer(answer.id);
  const attempt = integer(answer.attempt);
  let result;
  try {
    result = pack("DATA", { task: answer.task, run, id, attempt, data: solve(data, attempt) });
  } catch (error) {
    return pack("FAIL", { run, id, attempt, error: failure(error) });
  }
  await push.send(result);
  return ready;
}

const push = new Push({ linger: LINGER });
push.connect(results);
let over = false;
while (!over) {
  over = await session(push);
}
push.close();
