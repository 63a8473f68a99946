import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Button } from "@/components/ui/button";
import { ask, client } from "@/lib/api";
import { sessionQuery } from "./session";

/** Who is logged in, and the way out; nothing where nobody is asked. */
export function Who() {
  const cache = useQueryClient();
  const { data } = useQuery(sessionQuery());
  if (data?.demanded !== true) return null;
  const leave = async () => {
    await ask(client.DELETE("/api/v1/session", {}));
    await cache.resetQueries();
  };
  return (
    <span className="flex items-center gap-2">
      {data.name}
      <Button onClick={() => void leave()}>Log out</Button>
    </span>
  );
}
