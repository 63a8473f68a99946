import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import { INPUT } from "@/components/ui/field";
import { Command, Failure } from "@/components/ui/message";
import { ask, client, type Session } from "@/lib/api";
import { Line, moment, Row, Rows } from "./parts";
import { tokensQuery, useChange } from "./queries";

type Permission = Session["permissions"][number];
const FOREVER = "0";

/** Keys for programs; a key is shown once. */
export function Tokens({ permissions }: { readonly permissions: readonly Permission[] }) {
  const { data } = useQuery(tokensQuery());
  const { act, error } = useChange();
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<readonly Permission[]>(["read"]);
  const [days, setDays] = useState("90");
  const [secret, setSecret] = useState("");
  const make = async () => {
    const body = { name, scopes: [...scopes], days: days === FOREVER ? null : Number(days) };
    setSecret((await ask(client.POST("/api/v1/tokens", { body }))).secret);
    setName("");
  };
  const revoke = (id: string) =>
    ask(client.DELETE("/api/v1/tokens/{token_id}", { params: { path: { token_id: id } } }));
  return (
    <>
      {data !== undefined && data.length > 0 && (
        <Rows heads={["Name", "User", "May", "Expires", "Last used"]}>
          {data.map((one) => (
            <Row key={one.id} cells={[one.name, one.user, one.scopes.join(", "), moment(one.expires_at), moment(one.last_used_at)]}>
              <Button look="danger" onClick={() => void act(() => revoke(one.id))}>
                Revoke
              </Button>
            </Row>
          ))}
        </Rows>
      )}
      <Line aria-label="Make a token" onDone={() => void act(make)}>
        <input aria-label="Token name" placeholder="what it is for" required className={INPUT} value={name} onChange={(event) => setName(event.target.value)} />
        {permissions.map((one) => (
          <label key={one} className="flex items-center gap-1">
            <input
              type="checkbox"
              checked={scopes.includes(one)}
              onChange={() =>
                setScopes((before) => (before.includes(one) ? before.filter((other) => other !== one) : [...before, one]))
              }
            />
            {one}
          </label>
        ))}
        <select aria-label="Valid for" className={INPUT} value={days} onChange={(event) => setDays(event.target.value)}>
          <option value="7">7 days</option>
          <option value="90">90 days</option>
          <option value="365">a year</option>
          <option value={FOREVER}>for ever</option>
        </select>
        <Button type="submit" disabled={scopes.length === 0}>
          Make token
        </Button>
      </Line>
      {secret !== "" && (
        <p role="status" className="flex flex-wrap items-center gap-2">
          Copy it now, it is not shown again: <Command>{secret}</Command>
          <Button onClick={() => setSecret("")}>Done</Button>
        </p>
      )}
      {error !== null && <Failure error={error} />}
    </>
  );
}
