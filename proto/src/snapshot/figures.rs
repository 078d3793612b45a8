//! What locks froze, the office's settings, narratives.

use renaksi_domain::achievement::Exact;
use renaksi_domain::command::Command;
use renaksi_domain::config::{Bands, Config, ConfigCommand};
use renaksi_domain::figures::{Basis, PeriodTarget, Realised};
use renaksi_domain::frozen::Frozen;
use renaksi_domain::ids::IndicatorId;
use renaksi_domain::narrative::{Narrative, Texts};
use renaksi_domain::time::Quarter;

use super::bytes::{Reader, Writer};
use super::wrong;
use crate::convert::DecodeError;

impl Writer {
    pub(super) fn frozen(&mut self, frozen: &Frozen) {
        self.basis(&frozen.quarter);
        self.basis(&frozen.to_date);
        frozen.totals.iter().for_each(|total| self.exact(&Exact::Decimal(*total)));
    }

    fn basis(&mut self, basis: &Basis) {
        self.period_target(&basis.target);
        self.period_target(&basis.target_original);
        self.realised(&basis.realised);
        self.realised(&basis.realised_verified);
        self.settings(&basis.settings);
        self.byte(basis.not_aggregable.into());
        self.byte(basis.retired.into());
    }

    fn exact(&mut self, number: &Exact) {
        self.text(&number.exact());
    }

    fn period_target(&mut self, target: &PeriodTarget) {
        match target {
            PeriodTarget::Number(number) => {
                self.byte(0);
                self.exact(number);
            }
            PeriodTarget::Text(text) => {
                self.byte(1);
                self.text(text);
            }
            PeriodTarget::NotPlanned => self.byte(2),
            PeriodTarget::Missing(partial) => {
                self.byte(3);
                self.option(partial.as_ref(), Self::exact);
            }
        }
    }

    fn realised(&mut self, realised: &Realised) {
        match realised {
            Realised::Number(number) => {
                self.byte(0);
                self.exact(number);
            }
            Realised::Text(text) => {
                self.byte(1);
                self.text(text);
            }
            Realised::NotReported => self.byte(2),
            Realised::DenominatorZero => self.byte(3),
        }
    }

    pub(super) fn config(&mut self, config: &Config) {
        self.list(&config.bands, |out, (since, bands)| {
            out.number(*since);
            out.command(&Command::Config(ConfigCommand::SetBands(bands.iter().cloned().collect())));
        });
        self.list(&config.days, |out, (day, holiday)| {
            out.date(*day);
            out.byte((*holiday).into());
        });
        self.number(config.due_working_days.into());
    }

    pub(super) fn narrative(&mut self, (of, narrative): (&(IndicatorId, Quarter), &Narrative)) {
        self.number(of.0.0.into());
        self.quarter(of.1);
        let Texts { driver, obstacle, follow_up } = &narrative.texts;
        [driver, obstacle, follow_up].into_iter().for_each(|text| self.text(text));
        self.number(narrative.author.0.into());
        self.number(narrative.position);
        self.time(narrative.time);
        self.number(narrative.version.into());
    }
}

impl Reader<'_> {
    pub(super) fn frozen(&mut self) -> Result<Frozen, DecodeError> {
        let total = |from: &mut Self| from.exact()?.decimal().ok_or(wrong("total"));
        let (quarter, to_date) = (self.basis()?, self.basis()?);
        Ok(Frozen { quarter, to_date, totals: [total(self)?, total(self)?] })
    }

    fn basis(&mut self) -> Result<Basis, DecodeError> {
        Ok(Basis {
            target: self.period_target()?,
            target_original: self.period_target()?,
            realised: self.realised()?,
            realised_verified: self.realised()?,
            settings: self.settings()?,
            not_aggregable: self.flag()?,
            retired: self.flag()?,
        })
    }

    fn exact(&mut self) -> Result<Exact, DecodeError> {
        Exact::from_exact(&self.text()?).ok_or(wrong("number"))
    }

    fn period_target(&mut self) -> Result<PeriodTarget, DecodeError> {
        Ok(match self.byte()? {
            0 => PeriodTarget::Number(self.exact()?),
            1 => PeriodTarget::Text(self.text()?),
            2 => PeriodTarget::NotPlanned,
            3 => PeriodTarget::Missing(self.option(Self::exact)?),
            _ => return Err(wrong("target")),
        })
    }

    fn realised(&mut self) -> Result<Realised, DecodeError> {
        Ok(match self.byte()? {
            0 => Realised::Number(self.exact()?),
            1 => Realised::Text(self.text()?),
            2 => Realised::NotReported,
            3 => Realised::DenominatorZero,
            _ => return Err(wrong("realisation")),
        })
    }

    pub(super) fn config(&mut self) -> Result<Config, DecodeError> {
        let bands = self.list(|from| Ok((from.number()?, from.bands()?)))?;
        if bands.is_empty() {
            return Err(wrong("bands"));
        }
        let days = self.list(|from| Ok((from.date()?, from.flag()?)))?.into_iter().collect();
        Ok(Config { bands, days, due_working_days: self.small()? })
    }

    fn bands(&mut self) -> Result<Bands, DecodeError> {
        match self.command()? {
            Command::Config(ConfigCommand::SetBands(bands)) => {
                Bands::checked(bands).map_err(|_| wrong("bands"))
            }
            _ => Err(wrong("bands")),
        }
    }

    pub(super) fn narrative(&mut self) -> Result<((IndicatorId, Quarter), Narrative), DecodeError> {
        let of = (IndicatorId(self.small()?), self.quarter()?);
        let texts = Texts { driver: self.text()?, obstacle: self.text()?, follow_up: self.text()? };
        let narrative = Narrative {
            texts,
            author: self.person()?,
            position: self.number()?,
            time: self.time()?,
            version: self.small()?,
        };
        Ok((of, narrative))
    }
}
