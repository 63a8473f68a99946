import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import { INPUT } from "@/components/ui/field";
import { Failure } from "@/components/ui/message";
import { ask, client } from "@/lib/api";
import { DeleteButton } from "../steering/DeleteButton";
import { Line, moment, Row, Rows } from "./parts";
import { secretsQuery, useChange } from "./queries";

/** Variables for processes that train; nobody can read them back. */
export function Secrets() {
  const { data } = useQuery(secretsQuery());
  const { act, error } = useChange();
  const [name, setName] = useState("");
  const [value, setValue] = useState("");
  const set = () => ask(client.PUT("/api/v1/secrets/{name}", { params: { path: { name } }, body: { value } }));
  const remove = (secret: string) =>
    ask(client.DELETE("/api/v1/secrets/{name}", { params: { path: { name: secret } } }));
  return (
    <>
      <p className="text-dim">Kept encrypted, and given to processes that train, from their next start on.</p>
      {data !== undefined && data.length > 0 && (
        <Rows heads={["Name", "Changed", "By"]}>
          {data.map((one) => (
            <Row key={one.name} cells={[one.name, moment(one.changed_at), one.changed_by]}>
              <DeleteButton
                what={`secret ${one.name}`}
                about="Processes that train do without it from their next start on."
                onDelete={async () => {
                  await act(() => remove(one.name));
                }}
              />
            </Row>
          ))}
        </Rows>
      )}
      <Line
        aria-label="Set a secret"
        onDone={() =>
          void act(set).then((done) => {
            if (!done) return;
            setName("");
            setValue("");
          })
        }
      >
        <input aria-label="Secret name" placeholder="HF_TOKEN" required className={INPUT} value={name} onChange={(event) => setName(event.target.value)} />
        <input
          aria-label="Secret value"
          type="password"
          autoComplete="off"
          required
          className={INPUT}
          value={value}
          onChange={(event) => setValue(event.target.value)}
        />
        <Button type="submit">Set secret</Button>
      </Line>
      {error !== null && <Failure error={error} />}
    </>
  );
}
