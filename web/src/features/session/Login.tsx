import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import { Field, Input } from "@/components/ui/field";
import { Failure } from "@/components/ui/message";
import { ask, client } from "@/lib/api";

/** Asks who somebody is; everything is read anew afterwards. */
export function Login() {
  const cache = useQueryClient();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [error, setError] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async () => {
    setBusy(true);
    setError(null);
    try {
      await ask(client.POST("/api/v1/session", { body: { name, password } }));
      await cache.resetQueries();
    } catch (failed) {
      setError(failed as Error);
      setPassword("");
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      className="mx-auto mt-[12vh] flex w-[min(24rem,92vw)] flex-col gap-3 rounded-md border border-line bg-panel p-5"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <h1 className="text-base font-semibold">Log in to Modelyard</h1>
      <Field label="Name">
        <Input autoComplete="username" required value={name} onChange={(event) => setName(event.target.value)} autoFocus />
      </Field>
      <Field label="Password">
        <Input
          type="password"
          autoComplete="current-password"
          required
          value={password}
          onChange={(event) => setPassword(event.target.value)}
        />
      </Field>
      {error !== null && <Failure error={error} />}
      <div className="flex justify-end">
        <Button type="submit" look="primary" disabled={busy}>
          Log in
        </Button>
      </div>
    </form>
  );
}
