"""What models are said to cost a device, for those who only pass it on."""

from edged.api.documents.budget import BudgetDocument, DayCost, Energy, ModelCost, VariantCost

BUDGET = BudgetDocument(
    days=(
        DayCost(
            date="2026-11-23",
            models=(
                ModelCost(
                    model="gauge",
                    update_bytes=1_130_000,
                    offloaded=2,
                    offload_sent_bytes=4096,
                    offload_received_bytes=300,
                    variants=(
                        VariantCost(
                            variant="gauge-1.0.0-fp32-any",
                            runs=1000,
                            run_s=2.5,
                            measured_runs=800,
                            joules=8.0,
                            joules_per_run=0.01,
                            watts=4.0,
                        ),
                        VariantCost(
                            variant="gauge-1.0.0-int8-any",
                            runs=10,
                            run_s=0.01,
                            measured_runs=0,
                            joules=None,
                            joules_per_run=None,
                            watts=None,
                        ),
                    ),
                ),
            ),
            level_s={"nominal": 7200.0, "serious": 90.0},
            joules=7500.0,
            joules_s=7290.0,
            other_update_bytes=12_000,
        ),
        DayCost(
            date="2026-11-22",
            models=(
                ModelCost(
                    model="magika",
                    update_bytes=3_200_000,
                    offloaded=0,
                    offload_sent_bytes=0,
                    offload_received_bytes=0,
                    variants=(),
                ),
            ),
            level_s={},
            joules=None,
            joules_s=0.0,
            other_update_bytes=0,
        ),
    ),
    energy=Energy(baseline_watts=3.0, reason="", method="By looking."),
)


class FakeBudgets:
    """Fulfils ``edged.api.endpoints.budget.BudgetSource``."""

    async def budget(self) -> BudgetDocument:
        return BUDGET
