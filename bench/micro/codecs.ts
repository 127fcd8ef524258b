/**
 * Codecs of keys and values, and the varints of every format.
 *
 * @module
 */
import { json, utf8 } from "../../lib/codecs.ts";
import { Decoder, putVarint } from "../../lib/encoding/varint.ts";
import { anyOf, bench, expect, group } from "./suite.ts";

const NUMBERS = 1000;

/** Defines the benchmarks. */
export function defineCodecs(): void {
  const users = json<{ id: number; name: string; tags: string[] }>();
  const user = { id: 1_234_567, name: "Ada Lovelace", tags: ["a", "b", "c"] };
  const userBytes = users.encode(user);
  const key = "user/0001234567";
  const keyBytes = utf8.encode(key);
  expect(utf8.decode(keyBytes) === key, "a key decoded");
  expect(users.decode(userBytes).id === user.id, "a value decoded");

  const varints = new Uint8Array(NUMBERS * 8);
  let end = 0;
  for (let i = 0; i < NUMBERS; i++) {
    end = putVarint(varints, end, anyOf(50_000));
  }
  const readAll = () => {
    const decoder = new Decoder(varints, 0, end);
    let sum = 0;
    for (let i = 0; i < NUMBERS; i++) sum += decoder.varint();
    expect(!decoder.failed && decoder.position === end, "varints decoded");
    return sum;
  };
  readAll();

  group("codecs", () => {
    bench("utf8 encode, 15 letters", () => utf8.encode(key));
    bench("utf8 decode, 15 letters", () => utf8.decode(keyBytes));
    bench("json encode", () => users.encode(user));
    bench("json decode", () => users.decode(userBytes));
    bench("varint encode", () => putVarint(varints, end, anyOf(50_000)));
    bench("varint decode x1000", readAll);
  });
}
