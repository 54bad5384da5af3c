// Reads a bag with Foxglove's readers alone and prints what it found as JSON.
import { open } from "node:fs/promises";
import { McapIndexedReader } from "@mcap/core";
import { parse } from "@foxglove/rosmsg";
import { MessageReader } from "@foxglove/rosmsg2-serialization";

const file = await open(process.argv[2]);
const readable = {
  size: async () => BigInt((await file.stat()).size),
  read: async (offset, length) => {
    const buffer = new Uint8Array(Number(length));
    await file.read(buffer, 0, buffer.byteLength, Number(offset));
    return buffer;
  },
};

const reader = await McapIndexedReader.Initialize({ readable });
const decoders = new Map();
for (const [id, schema] of reader.schemasById) {
  const definition = parse(new TextDecoder().decode(schema.data), { ros2: true });
  decoders.set(id, new MessageReader(definition));
}
const topics = {};
for await (const message of reader.readMessages()) {
  const channel = reader.channelsById.get(message.channelId);
  const found = (topics[channel.topic] ??= { count: 0 });
  const value = decoders.get(channel.schemaId).readMessage(message.data);
  found.count += 1;
  if (channel.topic === "/hand/joint_states") {
    found.last = Array.from(value.position);
  } else if (channel.topic === "/demonstration/session") {
    found.task = value.task;
  }
}
console.log(JSON.stringify(topics));
await file.close();
