/**
 * Runs crash scenarios in every way that a process can be lost.
 *
 * @module
 */
import { test } from "node:test";
import type { Db } from "../../../mod.ts";
import { assertExists } from "../../assert.ts";
import { open } from "../../open.ts";
import { withTempDir } from "../../temp.ts";
import { Child } from "./child.ts";
import { LONG } from "./configs.ts";
import { type Machine, machines } from "./machines.ts";
import type { Reached, Scenario } from "./scenarios.ts";

function runOn(machine: Machine, scenario: Scenario): Promise<void> {
  return machine.run(async (host) => {
    let reached: Reached | undefined;
    for (const life of scenario.lives) {
      reached = undefined;
      await life(await host.open(scenario.options), (state) => {
        reached = state;
        host.crash();
      });
      assertExists(reached, "the life did not reach its end");
    }
    const db: Db = await host.open(scenario.options);
    assertExists(reached);
    await scenario.verify(db, reached);
  });
}

function runKilled(scenario: Scenario): Promise<void> {
  return withTempDir(async (base) => {
    const dir = `${base}/db`;
    let reached: Reached | undefined;
    for (let life = 0; life < scenario.lives.length; life++) {
      const args = [dir, scenario.name, String(life)];
      const child = new Child("scenario_child.ts", args);
      try {
        reached = await child.line() as Reached;
      } finally {
        await child.kill();
      }
    }
    await using db = await open(dir, scenario.options);
    assertExists(reached);
    await scenario.verify(db, reached);
  });
}

/** Declares one test for each scenario and each way to die. */
export function crashTests(subject: string, scenarios: readonly Scenario[]) {
  for (const scenario of scenarios) {
    for (const machine of machines()) {
      test(
        `${subject}: ${scenario.name} (${machine.name})`,
        LONG,
        () => runOn(machine, scenario),
      );
    }
    test(
      `${subject}: ${scenario.name} (killed process)`,
      LONG,
      () => runKilled(scenario),
    );
  }
}
