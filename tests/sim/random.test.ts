import { describe, test } from "node:test";
import { assert, assertEquals, assertGreater, assertLess } from "../assert.ts";
import { SeededDice } from "./random.ts";

const draw = (dice: SeededDice) =>
  Array.from({ length: 20 }, () => dice.next());

describe("SeededDice", () => {
  test("gives the same numbers for the same seed, others for another", () => {
    assertEquals(draw(new SeededDice(7)), draw(new SeededDice(7)));
    const first = new Set(draw(new SeededDice(7)));
    assert(draw(new SeededDice(8)).every((number) => !first.has(number)));
    assert(draw(new SeededDice(7 + 2 ** 32)).every((n) => !first.has(n)));
  });

  test("stream() depends on seed, name and index, not on what was drawn", () => {
    const dice = new SeededDice(7);
    const before = draw(dice.stream("a", 3));
    draw(dice);
    assertEquals(draw(dice.stream("a", 3)), before);
    const all = [dice.stream("a", 4), dice.stream("b", 3), dice]
      .flatMap(draw);
    assert(before.every((number) => !all.includes(number)));
  });

  test("chance() and weighted() come as often as they should", () => {
    const dice = new SeededDice(1);
    let hits = 0;
    const places = [0, 0, 0];
    for (let i = 0; i < 10_000; i++) {
      if (dice.chance(0.25)) hits++;
      places[dice.weighted([1, 0, 3])]++;
    }
    assertGreater(hits, 2300);
    assertLess(hits, 2700);
    assertEquals(places[1], 0);
    assertGreater(places[2], 7000);
    assertLess(places[2], 8000);
  });
});
