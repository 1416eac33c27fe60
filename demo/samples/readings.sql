CREATE TABLE readings (
    id BIGSERIAL PRIMARY KEY,
    gauge VARCHAR(40) NOT NULL,
    value NUMERIC(8, 2) NOT NULL,
    taken_at TIMESTAMP WITH TIME ZONE DEFAULT now()
);

INSERT INTO readings (gauge, value) VALUES ('inlet', 4.2), ('outlet', 3.9);

SELECT gauge, AVG(value) AS mean, COUNT(*) AS n
FROM readings
WHERE taken_at > now() - INTERVAL '1 day'
GROUP BY gauge
HAVING COUNT(*) > 10
ORDER BY mean DESC;
