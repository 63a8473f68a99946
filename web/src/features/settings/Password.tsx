import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import { INPUT } from "@/components/ui/field";
import { Failure } from "@/components/ui/message";
import { ask, client } from "@/lib/api";
import { Line } from "./parts";
import { useChange } from "./queries";

/** One's own password; one has to log in with the new one. */
export function Password() {
  const cache = useQueryClient();
  const { act, error } = useChange();
  const [old, setOld] = useState("");
  const [now, setNow] = useState("");
  const change = async () => {
    await ask(client.POST("/api/v1/account/password", { body: { old, new: now } }));
    await cache.resetQueries();
  };
  return (
    <>
      <Line aria-label="Change your password" onDone={() => void act(change)}>
        <input
          aria-label="Old password"
          placeholder="old"
          type="password"
          autoComplete="current-password"
          required
          className={INPUT}
          value={old}
          onChange={(event) => setOld(event.target.value)}
        />
        <input
          aria-label="New password"
          placeholder="new"
          type="password"
          autoComplete="new-password"
          required
          className={INPUT}
          value={now}
          onChange={(event) => setNow(event.target.value)}
        />
        <Button type="submit">Change password</Button>
      </Line>
      {error !== null && <Failure error={error} />}
    </>
  );
}
