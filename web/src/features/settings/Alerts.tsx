import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import { INPUT } from "@/components/ui/field";
import { Failure } from "@/components/ui/message";
import { ask, client, type AlertRule } from "@/lib/api";
import { Line, moment, Row, Rows } from "./parts";
import { alertsQuery, rulesQuery, useChange } from "./queries";

type Kind = AlertRule["to"]["kind"];

const KINDS: Record<Kind, string> = { webhook: "webhook", email: "e-mail", desktop: "desktop of the server" };
const USUAL: readonly string[] = ["state = failed", "state = completed", "reason = non_finite_loss", "val_accuracy > 0.9"];

/** Whom a run is told to, once, when it first matches a filter. */
export function Alerts() {
  const rules = useQuery(rulesQuery());
  const sent = useQuery(alertsQuery());
  const { act, error } = useChange();
  const [name, setName] = useState("");
  const [where, setWhere] = useState("state = failed");
  const [kind, setKind] = useState<Kind>("webhook");
  const [address, setAddress] = useState("");
  const [tried, setTried] = useState(false);
  const rule = (): AlertRule => ({
    name,
    where,
    to: kind === "webhook" ? { kind, url: address } : kind === "email" ? { kind, address } : { kind },
  });
  const remove = (id: string) =>
    ask(client.DELETE("/api/v1/alerts/rules/{rule_id}", { params: { path: { rule_id: id } } }));
  return (
    <>
      {rules.data !== undefined && rules.data.length > 0 && (
        <Rows heads={["Name", "Runs", "To", "By"]}>
          {rules.data.map(({ id, rule: { name: its, where: filter, to }, created_by }) => (
            <Row key={id} cells={[its, filter, "url" in to ? to.url : "address" in to ? to.address : KINDS.desktop, created_by]}>
              <Button look="danger" onClick={() => void act(() => remove(id))}>
                Remove
              </Button>
            </Row>
          ))}
        </Rows>
      )}
      <Line
        aria-label="Add an alert"
        onDone={() =>
          void act(() => ask(client.POST("/api/v1/alerts/rules", { body: rule() }))).then((done) => done && setName(""))
        }
      >
        <input aria-label="Alert name" placeholder="name" required className={INPUT} value={name} onChange={(event) => setName(event.target.value)} />
        <input
          aria-label="Which runs"
          list="usual-filters"
          required
          className={`${INPUT} w-56 font-mono text-xs`}
          value={where}
          onChange={(event) => setWhere(event.target.value)}
        />
        <datalist id="usual-filters">
          {USUAL.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </datalist>
        <select aria-label="Send to" className={INPUT} value={kind} onChange={(event) => setKind(event.target.value as Kind)}>
          {Object.entries(KINDS).map(([one, title]) => (
            <option key={one} value={one}>
              {title}
            </option>
          ))}
        </select>
        {kind !== "desktop" && (
          <input
            aria-label="Address"
            placeholder={kind === "webhook" ? "https://…" : "ann@example.org"}
            required
            className={INPUT}
            value={address}
            onChange={(event) => setAddress(event.target.value)}
          />
        )}
        <Button type="submit">Add alert</Button>
        <Button
          onClick={() => {
            setTried(false);
            void act(() => ask(client.POST("/api/v1/alerts/test", { body: { ...rule(), name: name || "test" } }))).then(setTried);
          }}
        >
          Send a test
        </Button>
        {tried && <span role="status">sent</span>}
      </Line>
      {error !== null && <Failure error={error} />}
      {sent.data !== undefined && sent.data.length > 0 && (
        <Rows heads={["When", "What", "Sent"]}>
          {sent.data.map((one) => (
            <Row key={`${one.rule_id} ${one.run_id}`} cells={[moment(one.time), one.text, `${one.delivery}${one.problem ? `: ${one.problem}` : ""}`]} />
          ))}
        </Rows>
      )}
    </>
  );
}
