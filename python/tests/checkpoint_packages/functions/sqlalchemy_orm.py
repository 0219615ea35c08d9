from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool

engine = create_engine("sqlite://", poolclass=StaticPool)


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


Base.metadata.create_all(engine)


def handler(event, context):
    with Session(engine) as session:
        session.add(Order(name=event))
        session.commit()
        return [session.scalar(select(func.count(Order.id))), session.scalars(select(Order).order_by(Order.id)).all()[-1].name]
